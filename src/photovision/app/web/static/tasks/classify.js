// One picture large: the answer in words, its heatmap with a slider, what it could be, what the model was reminded of.
import { api, breakable, el, fill, percent } from "../dom.js";
import { BROKEN } from "../views/kinds.js";

const REST = 700; // milliseconds without a change before a map is tested, which takes seconds for large networks

class Large {
  constructor(kept, state) {
    this.kept = kept;
    this.state = state;
    this.element = el("section", { class: "large", "aria-label": "The chosen picture" });
    this.item = null;
    this.asked = new AbortController();
  }

  show(item) {
    if (item && item === this.item && item.answer === this.answer && item.error === this.error) return;
    const other = item !== this.item;
    Object.assign(this, { item, answer: item?.answer, error: item?.error });
    this.leave();
    if (!item) return fill(this.element);
    if (other || !this.stage) this.drawStage(item);
    this.words = el("div", { class: "said" });
    fill(this.element, el("div", { class: "seen" }, this.stage, this.control, this.about), this.words);
    this.control.hidden = this.about.hidden = !item.answer;
    if (item.error) return fill(this.words, el("p", { class: "kind" }, item.name), el("h2", { class: "label" }, "cannot be read"), el("p", { class: "reason" }, item.error));
    if (!item.answer) return fill(this.words, el("p", { class: "kind" }, item.name), el("p", { class: "note" }, "Looking …"));
    this.drawAnswer(item);
    this.explain(item, item.target ?? null);
  }

  drawStage(item) {
    const picture = el("img", { class: "picture", src: item.url, alt: item.name, dataset: { item: item.id } });
    this.heat = el("img", { class: "heat", alt: "", hidden: true });
    this.stage = el("div", { class: "stage" }, picture, this.heat);
    picture.addEventListener("load", () => {
      this.stage.style.setProperty("--ratio", picture.naturalWidth / picture.naturalHeight);
      picture.classList.toggle("pixels", Math.max(picture.naturalWidth, picture.naturalHeight) < 120);
    });
    this.slider = el("input", { type: "range", min: "0", max: "100", step: "5", value: String(this.kept.opacity * 100), id: "opacity", oninput: () => this.fade(this.slider.value / 100) });
    this.output = el("output", { for: "opacity", class: "number note" });
    this.speaks = el("p", { class: "note speaks" }, "Computing the heatmap …");
    this.verdict = el("p", { class: "note verdict" });
    this.control = el(
      "div",
      { class: "heat-control" },
      el("div", { class: "heat-slider" }, el("label", { for: "opacity" }, "Heatmap"), this.slider, this.output),
      el("div", { class: "legend", "aria-hidden": "true" }, el("span", {}, "least evidence"), el("i", {}), el("span", {}, "most evidence")),
    );
    this.about = el("div", { class: "heat-words" }, this.speaks, this.verdict);
    this.paint(this.opacity());
  }

  fade(opacity) {
    this.kept.opacity = opacity;
    this.item.moved = true;
    this.paint(opacity);
  }

  /** What speaks for a class is not laid over a picture that is none of them, before somebody asks for it. */
  opacity() {
    return this.answer?.known === false && !this.item.moved ? 0 : this.kept.opacity;
  }

  paint(opacity) {
    this.slider.value = opacity * 100;
    this.heat.style.opacity = opacity;
    this.stage.style.setProperty("--grey", this.heat.hidden ? 0 : opacity / 2);
    this.output.textContent = percent(opacity, 0);
  }

  toggle() {
    if (!this.slider) return;
    const shown = this.opacity();
    this.before = shown || this.before;
    this.fade(shown ? 0 : this.before || 0.6);
  }

  drawAnswer(item) {
    const { answer } = item;
    const unknown = answer.known === false;
    const several = !unknown && answer.set?.length > 1;
    const name = unknown ? "unknown" : answer.labels.join(", ") || "no class";
    this.nearest = el("div", { class: "nearest" });
    fill(
      this.words,
      el("p", { class: "kind" }, item.name, item.truth && ` · labelled ${item.truth}`),
      el("h2", { class: `label ${answer.sure}${name.length > 14 ? " long" : ""}` }, breakable(name), !unknown && !this.multiple() && el("span", { class: "confidence number" }, percent(answer.prob))),
      several && !this.multiple() && el("p", { class: "set" }, "one of: ", ...answer.set.slice(0, 6).flatMap((one, place) => [place ? ", " : "", el("strong", {}, one)]), answer.set.length > 6 && ` and ${answer.set.length - 6} more`),
      answer.words.map((sentence) => el("p", { class: "words" }, sentence)),
      el("h3", {}, unknown ? "What it resembles" : "What it could be"),
      this.bars(item),
      this.nearest,
    );
  }

  multiple() {
    return this.state.overview.models.find(({ name }) => name === this.kept.model)?.multilabel;
  }

  /** The most probable classes; each is a button that shows what speaks for it. */
  bars(item) {
    const { top, set, best, known } = item.answer;
    const shown = item.target ?? best;
    const bar = ([name, prob]) => {
      const inside = set?.includes(name);
      const width = el("i", { style: { width: `${Math.max(prob * 100, 0.5)}%` } });
      return el(
        "li",
        {},
        el(
          "button",
          { type: "button", class: "class-bar", "aria-pressed": String(name === shown), title: `Show the evidence for ${name}`, onclick: () => this.aim(item, name) },
          el("span", { class: inside ? "name inside" : "name" }, name, inside && el("span", { class: "unseen" }, ", in the set")),
          el("span", { class: "number" }, known === false ? "" : percent(prob)), // nothing is calibrated for strangers
          el("span", { class: inside ? "track inside" : "track" }, width),
        ),
      );
    };
    return el("ul", { class: "bars" }, top.map(bar));
  }

  aim(item, name) {
    item.target = name;
    for (const button of this.words.querySelectorAll(".class-bar")) button.setAttribute("aria-pressed", String(button.querySelector(".name").firstChild.data === name));
    this.explain(item, name);
  }

  async explain(item, target) {
    this.leave();
    this.asked = new AbortController();
    const { signal } = this.asked;
    const wish = { model: this.kept.model, target };
    const key = target ?? "";
    try {
      if (!item.why.has(key)) item.why.set(key, await api("/api/recognise/why", { query: wish, body: item.file, signal }));
      if (signal.aborted) return;
      this.drawWhy(item, item.why.get(key));
      if (item.why.get(key).sentence) return;
      this.verdict.textContent = "Testing whether this heatmap can be trusted …";
      await new Promise((done) => setTimeout(done, REST));
      if (signal.aborted) return;
      item.why.set(key, await api("/api/recognise/why", { query: { ...wish, tested: true }, body: item.file, signal }));
      if (!signal.aborted) this.drawWhy(item, item.why.get(key));
    } catch (error) {
      if (error.name === "AbortError" || signal.aborted) return;
      this.speaks.textContent = `No heatmap: ${error.message}`;
      this.verdict.textContent = "";
    }
  }

  drawWhy(item, why) {
    this.heat.src = why.layer;
    this.heat.hidden = false;
    this.paint(this.opacity());
    fill(this.speaks, "Bright areas count towards ", el("strong", {}, why.target), `. `, el("span", { title: why.about }, why.reason));
    this.verdict.className = `note verdict ${why.verdict ?? ""}`;
    this.verdict.textContent = why.sentence ?? "";
    if (!why.nearest.length) return fill(this.nearest);
    const source = (near) => `/api/recognise/training?${new URLSearchParams({ model: this.kept.model, id: near.id })}`;
    const one = (near) =>
      el(
        "li",
        { title: near.id },
        near.shown ? el("img", { src: source(near), alt: "" }) : el("span", { class: "blank", "aria-hidden": "true" }),
        el("span", { class: "near-label" }, breakable(near.label)),
        el("span", { class: "note number" }, near.shown ? `${percent(near.similarity, 0)} alike` : near.id),
      );
    fill(this.nearest, el("h3", {}, "Training pictures it was reminded of"), el("ul", { class: "strip" }, why.nearest.map(one)));
  }

  leave() {
    this.asked.abort();
  }
}

export default {
  over: "Heatmap",
  filters: { all: "All", sure: "Sure", unsure: "Unsure", unknown: "Unknown", ...BROKEN },
  orders: { given: "as given", unsure: "least sure first", answer: "by answer", name: "by file name" },
  kind: (item) => item.answer.sure,
  by: {
    unsure: (item) => (item.error || !item.answer ? 2 : item.answer.known === false ? 0 : item.answer.prob),
    answer: (item) => item.answer?.label ?? "~",
  },
  brief(answer) {
    const confidence = el("span", { class: "number soft" }, answer.known === false ? "" : percent(answer.prob, 0));
    const name = answer.known === false ? "unknown" : answer.labels.join(", ") || "no class";
    const others = answer.known !== false && answer.set?.length > 1 && el("span", { class: "note" }, `one of ${answer.set.length}`);
    return [el("strong", {}, name), confidence, others];
  },
  spoken: (answer) => `${answer.label}, ${answer.sure}`,
  columns: ["file", "label", "prob", "set", "similarity", "confidence", "error"],
  lines: ({ name, answer, error }) => [[name, answer?.label, answer && answer.known !== false ? answer.prob.toFixed(4) : "", answer?.set?.join("|"), answer?.similarity?.toFixed(4), answer?.confidence?.toFixed(4), error]],
  words: (answer) => [
    el("p", {}, answer.known === false ? `unknown; at best ${answer.best}` : `${answer.label}, ${percent(answer.prob)}`),
    answer.set && el("p", { class: "note" }, `Prediction set: ${answer.set.join(", ") || "none of its classes"}`),
  ],
  large: (kept, state) => new Large(kept, state),
};
