// One picture large with what a detector found: boxes, a slider that filters them, counts by class, a table, downloads.
import { count, el, fill, percent } from "../dom.js";
import { Chosen, cutButton, rowOf, tableOf } from "../views/chosen.js";
import { BROKEN } from "../views/kinds.js";
import { Boxes, drawn, listed, makeStage, median, save, stem, swatch, tally, visible } from "../views/overlay.js";

const MOST_ROWS = 300;

class Found extends Chosen {
  /** changed() is called when the slider was moved, so that the list of pictures can follow. */
  constructor(kept, state, changed) {
    super(kept, state);
    Object.assign(this, { changed, hidden: new Set() });
  }

  drawStage(item) {
    this.boxes = new Boxes({ lit: (index) => this.light(index), picked: (index) => this.reveal(index) });
    this.boxes.names = this.kept.names ?? null;
    this.stage = makeStage(item, this.boxes.element).stage;
    const least = this.kept.least ?? median(this.model?.thresholds ?? [0.25]);
    this.slider = el("input", { type: "range", id: "least", min: "5", max: "95", step: "1", value: String(Math.round(100 * least)), oninput: () => this.filter(this.slider.value / 100), onchange: () => this.changed() });
    this.output = el("output", { for: "least", class: "number note" });
    this.own = el("button", { type: "button", class: "quiet small", onclick: () => this.filter(null) }, "As the model decides");
    this.naming = el("input", { type: "checkbox", onchange: () => this.name(this.naming.checked) });
    this.control = el(
      "div",
      { class: "heat-control" },
      el("div", { class: "heat-slider" }, el("label", { for: "least" }, "Confidence"), this.slider, this.output),
      el("div", { class: "bar under" }, el("label", { class: "tick" }, this.naming, " Names"), this.own),
    );
  }

  filter(least) {
    this.kept.least = least;
    if (least === null) {
      this.slider.value = String(Math.round(100 * median(this.model?.thresholds ?? [0.25])));
      this.changed();
    }
    this.drawBoxes();
  }

  name(shown) {
    this.kept.names = this.boxes.names = shown;
    this.boxes.drawTags(null);
  }

  /** The key h. */
  toggle() {
    this.boxes?.element.classList.toggle("away");
  }

  drawAnswer() {
    this.head = el("h2", { class: "label" });
    this.legend = el("ul", { class: "legend-list", "aria-label": "Classes" });
    this.table = el("tbody", { onkeydown: (event) => this.keyed(event) });
    this.more = el("p", { class: "note" });
    const file = `${stem(this.item.name)}`;
    const shown = () => this.shown().map(({ label, score, xyxy }) => ({ label, score, xyxy }));
    const json = () => save(`${JSON.stringify({ file: this.item.name, size: this.answer.size, boxes: shown() })}\n`, `${file}.boxes.json`);
    const picture = async () => save(await drawn(this.item, this.answer.size, this.shown(), this.model.colours), `${file}.boxes.png`);
    this.sheet = tableOf("Boxes, in pixels of the picture", ["Class", "Score", "x", "y", "Width", "Height"], this.table);
    fill(
      this.words,
      el("p", { class: "kind" }, this.item.name),
      this.head,
      this.legend,
      el("div", { class: "bar downloads" }, el("button", { type: "button", class: "button", onclick: picture }, "Save picture"), el("button", { type: "button", class: "button", onclick: json }, "Save boxes as JSON"), cutButton(this.item, this.state)),
      this.sheet,
      this.more,
    );
    this.drawBoxes();
  }

  shown() {
    return visible(this.answer, this.kept, this.model).filter(({ label }) => !this.hidden.has(label));
  }

  drawBoxes() {
    if (!this.answer) return;
    const all = visible(this.answer, this.kept, this.model), shown = this.shown();
    this.boxes.show(this.answer.size, shown, this.model.colours);
    this.naming.checked = this.boxes.names ?? shown.length <= 12;
    const own = new Set(this.model.thresholds ?? [0.25]);
    this.output.textContent = this.kept.least === null ? (own.size > 1 ? "by class" : percent([...own][0], 0)) : percent(this.kept.least, 0);
    this.own.disabled = this.kept.least === null;
    this.head.textContent = all.length ? count(all.length, "object") : "Nothing found";
    const colour = (label) => this.model.colours[this.model.classes.indexOf(label)];
    const button = ([label, many]) => el("button", { type: "button", class: "legend-class", "aria-pressed": String(!this.hidden.has(label)), title: this.hidden.has(label) ? `Show ${label}` : `Hide ${label}`, onclick: () => this.hide(label) }, swatch(colour(label)), el("span", {}, label), el("span", { class: "number" }, count(many)));
    fill(this.legend, tally(all).map((pair) => el("li", {}, button(pair))));
    this.sheet.hidden = !shown.length;
    fill(this.table, shown.slice(0, MOST_ROWS).map((box, place) => this.row(box, place, colour(box.label))));
    const out = shown.length - MOST_ROWS;
    this.more.textContent = out > 0 ? `The table shows the first ${MOST_ROWS}; the JSON file has all ${count(shown.length)}.` : all.length ? "" : "Nothing reaches this confidence: move the slider to the left to see what comes near.";
  }

  row({ label, score, xyxy: [x1, y1, x2, y2], index }, place, colour) {
    const number = (value) => el("td", { class: "number" }, count(Math.round(value)));
    const light = (on) => this.light(on ? index : null);
    return rowOf(place, { index }, light, el("th", { scope: "row" }, swatch(colour), label), el("td", { class: "number" }, percent(score)), [x1, y1, x2 - x1, y2 - y1].map(number));
  }

  hide(label) {
    if (!this.hidden.delete(label)) this.hidden.add(label);
    this.drawBoxes();
    [...this.legend.querySelectorAll("button")].find((one) => one.children[1].textContent === label)?.focus();
  }

  light(index) {
    this.boxes.light(index);
    for (const row of this.table?.children ?? []) row.classList.toggle("lit", Number(row.dataset.index) === index);
  }

  reveal(index) {
    const row = [...this.table.children].find((one) => Number(one.dataset.index) === index);
    row?.scrollIntoView({ block: "nearest" });
    row?.focus({ preventScroll: true });
  }
}

export default {
  over: "Boxes",
  filters: { all: "All", some: "With objects", none: "Nothing found", ...BROKEN },
  orders: { given: "as given", most: "most objects first", name: "by file name" },
  kind: (item, kept, model) => (visible(item.answer, kept, model).length ? "some" : "none"),
  by: { most: (item, kept, model) => (item.answer ? -visible(item.answer, kept, model).length : 1) },
  brief(answer, kept, model) {
    const boxes = visible(answer, kept, model);
    return boxes.length ? [el("strong", {}, count(boxes.length, "object")), el("span", { class: "note" }, listed(tally(boxes)))] : [el("strong", { class: "soft" }, "nothing found")];
  },
  spoken: (answer, kept, model) => listed(tally(visible(answer, kept, model))) || "nothing found",
  columns: ["file", "label", "score", "x1", "y1", "x2", "y2", "height", "width", "error"],
  lines({ name, answer, error }, kept, model) {
    if (!answer) return [[name, "", "", "", "", "", "", "", "", error]];
    return visible(answer, kept, model).map(({ label, score, xyxy }) => [name, label, score.toFixed(4), ...xyxy.map((value) => value.toFixed(1)), ...answer.size, ""]);
  },
  words: (answer, model) => [el("p", {}, listed(tally(visible(answer, {}, model)), Infinity) || "nothing found")],
  layers: (answer, kept, model) => ({ boxes: visible(answer, kept, model) }),
  large: (kept, state, changed) => new Found(kept, state, changed),
};
