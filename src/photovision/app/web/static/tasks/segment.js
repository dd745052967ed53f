// One picture large with the class of every pixel: masks with an opacity slider, shares by class, objects, downloads.
import { attempt, count, el, fill, percent } from "../dom.js";
import { Chosen, cutButton, rowOf, tableOf } from "../views/chosen.js";
import { BROKEN } from "../views/kinds.js";
import { drawn, Layer, makeStage, save, stem, swatch } from "../views/overlay.js";

const MOST_ROWS = 300;
const GROUND = "background"; // hidden until somebody asks for it

class Scene extends Chosen {
  drawStage(item) {
    this.layer = new Layer({ lit: (one) => this.light(one) });
    this.stage = makeStage(item, this.layer.element).stage;
    this.drawSlider("Masks");
  }

  drawAnswer() {
    const { answer, item, model } = this;
    const ground = model.classes.indexOf(GROUND);
    this.hidden ??= new Set(ground >= 0 ? [ground] : []);
    this.legend = el("ul", { class: "legend-list areas", "aria-label": "Classes" });
    this.table = el("tbody", { onkeydown: (event) => this.keyed(event) });
    const result = { file: item.name, size: answer.size, areas: Object.fromEntries(answer.areas.map((one) => [one.label, one.share])), ...(answer.objects && { objects: answer.count, boxes: answer.objects.map(({ label, score, xyxy, pixels }) => ({ label, score, xyxy, pixels })) }) };
    const button = (text, action) => el("button", { type: "button", class: "button", onclick: () => attempt(action) }, text);
    const shown = answer.areas.filter((one) => one.class !== ground);
    const title = answer.objects ? count(answer.count, "object") : shown.length ? `${shown[0].label} ${percent(shown[0].share)}` : "Nothing but background";
    fill(
      this.words,
      el("p", { class: "kind" }, item.name),
      el("h2", { class: "label" }, title),
      this.legend,
      el(
        "div",
        { class: "bar downloads" },
        button("Save picture", async () => save(await drawn(item, answer.size, [], [], this.layer.element), `${stem(item.name)}.masks.png`)),
        button("Save mask", () => this.saveMask(item)),
        button("Save JSON", async () => save(`${JSON.stringify(result)}\n`, `${stem(item.name)}.masks.json`)),
        cutButton(item, this.state),
      ),
      answer.objects?.length > 0 && this.objects(answer.objects),
    );
    this.drawLegend();
    this.layer.show(answer.layer, model.colours, this.hidden);
  }

  drawLegend() {
    const row = ({ label, class: kind, share }) =>
      el(
        "li",
        {},
        el(
          "button",
          { type: "button", class: "legend-class", "aria-pressed": String(!this.hidden.has(kind)), title: this.hidden.has(kind) ? `Show ${label}` : `Hide ${label}`, onclick: () => this.hide(kind, label), onpointerenter: () => this.light({ class: kind, number: 0 }), onpointerleave: () => this.light(null) },
          swatch(this.model.colours[kind]),
          el("span", {}, label),
          el("span", { class: "number" }, percent(share)),
          el("span", { class: "track" }, el("i", { style: { width: `${Math.max(100 * share, 0.5)}%`, background: this.model.colours[kind] } })),
        ),
      );
    fill(this.legend, this.answer.areas.map(row));
  }

  hide(kind, label) {
    if (!this.hidden.delete(kind)) this.hidden.add(kind);
    this.layer.hidden = this.hidden;
    this.layer.paint();
    this.drawLegend();
    [...this.legend.querySelectorAll("button")].find((one) => one.children[1].textContent === label)?.focus();
  }

  objects(found) {
    const order = found.map((one, place) => ({ ...one, number: place + 1 })).sort((a, b) => b.pixels - a.pixels);
    fill(this.table, order.slice(0, MOST_ROWS).map((one, place) => this.row(one, place)));
    return tableOf("Objects, the largest first", ["Class", "Score", "Pixels"], this.table);
  }

  row({ label, class: kind, score, pixels, number }, place) {
    const light = (on) => this.light(on ? { class: kind, number } : null);
    return rowOf(place, { number }, light, el("th", { scope: "row" }, swatch(this.model.colours[kind]), label), el("td", { class: "number" }, percent(score)), el("td", { class: "number" }, count(pixels)));
  }

  light(one) {
    this.layer.light(one);
    for (const row of this.table?.children ?? []) row.classList.toggle("lit", Boolean(one?.number) && Number(row.dataset.number) === one.number);
  }

  /** The class of every pixel at the picture's full size. */
  async saveMask(item) {
    const response = await fetch(`/api/recognise/mask?${new URLSearchParams({ model: this.kept.model })}`, { method: "POST", body: item.file });
    if (!response.ok) throw new Error((await response.json().catch(() => ({}))).error ?? "The mask could not be made.");
    save(await response.blob(), `${stem(item.name)}.png`);
  }
}

export default {
  over: "Masks",
  filters: { all: "All", ...BROKEN },
  orders: { given: "as given", most: "most objects first", name: "by file name" },
  kind: () => "some",
  by: { most: (item) => (item.answer ? -(item.answer.count ?? 0) : 1) },
  brief(answer) {
    const [first] = answer.areas.filter(({ label }) => label !== "background");
    const head = answer.objects ? count(answer.count, "object") : first ? first.label : "background only";
    return [el("strong", {}, head), el("span", { class: "note" }, first ? `${answer.objects ? `${first.label} ` : ""}${percent(first.share)}` : "")];
  },
  spoken: (answer) => (answer.objects ? count(answer.count, "object") : answer.areas.map(({ label, share }) => `${label} ${percent(share)}`).join(", ")),
  columns: ["file", "class", "share", "objects", "error"],
  lines({ name, answer, error }) {
    if (!answer) return [[name, "", "", "", error]];
    return answer.areas.map(({ label, share }) => [name, label, share.toFixed(6), answer.count ?? "", ""]);
  },
  words: (answer) => [
    el("p", {}, answer.areas.map(({ label, share }) => `${label} ${percent(share)}`).join(", ") || "nothing found"),
    answer.objects && el("p", { class: "note" }, count(answer.count, "object")),
  ],
  layers: (answer, kept, model) => ({ mask: answer.layer, hidden: [model.classes.indexOf(GROUND)] }),
  large: (kept, state) => new Scene(kept, state),
};
