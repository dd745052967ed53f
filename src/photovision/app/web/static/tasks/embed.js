// One picture large beside the training pictures that it is most similar to.
import { api, attempt, breakable, el, fill } from "../dom.js";
import { Chosen } from "../views/chosen.js";
import { BROKEN } from "../views/kinds.js";
import { makeStage, save, stem } from "../views/overlay.js";

const cosine = (value) => value.toFixed(2);

class Similar extends Chosen {
  drawStage(item) {
    this.stage = makeStage(item).stage;
    this.control = el("div", {});
  }

  drawAnswer() {
    const { answer, item } = this;
    const [nearest] = answer.neighbours;
    const result = { file: item.name, embedding: answer.embedding, neighbours: answer.neighbours };
    this.nearest = el("div", { class: "nearest" });
    fill(
      this.words,
      el("p", { class: "kind" }, item.name),
      nearest && el("h2", { class: "label" }, breakable(nearest.label), el("span", { class: "confidence number" }, cosine(nearest.similarity))),
      el("p", { class: "words" }, nearest ? "The class of the most similar training picture, and their similarity: 1 is the same, 0 is nothing in common." : "This model remembers no training pictures."),
      el("div", { class: "bar downloads" }, el("button", { type: "button", class: "button", onclick: () => attempt(async () => save(`${JSON.stringify(result)}\n`, `${stem(item.name)}.embedding.json`)) }, "Save vector")),
      this.nearest,
    );
    attempt(() => this.compare(item));
  }

  async compare(item) {
    if (!item.why.has("")) item.why.set("", await api("/api/recognise/why", { query: { model: this.kept.model }, body: item.file }));
    if (item !== this.item) return;
    const { nearest } = item.why.get("");
    const source = (near) => `/api/recognise/training?${new URLSearchParams({ model: this.kept.model, id: near.id })}`;
    const one = (near) =>
      el(
        "li",
        { title: near.id },
        near.shown ? el("img", { src: source(near), alt: "" }) : el("span", { class: "blank", "aria-hidden": "true" }),
        el("span", { class: "near-label" }, breakable(near.label)),
        el("span", { class: "note number" }, near.shown ? cosine(near.similarity) : near.id),
      );
    if (nearest.length) fill(this.nearest, el("h3", {}, "Most similar training pictures"), el("ul", { class: "strip" }, nearest.map(one)));
  }
}

export default {
  over: "Picture",
  filters: { all: "All", ...BROKEN },
  orders: { given: "as given", unlike: "least similar first", label: "by class", name: "by file name" },
  kind: () => "all",
  by: {
    unlike: (item) => item.answer?.neighbours[0]?.similarity ?? 2,
    label: (item) => item.answer?.label ?? "~",
  },
  brief: (answer) => [el("strong", {}, answer.label), answer.neighbours.length > 0 && el("span", { class: "number soft" }, cosine(answer.neighbours[0].similarity))],
  spoken: (answer) => answer.label,
  columns: ["file", "label", "similarity", "nearest", "error"],
  lines: ({ name, answer, error }) => [[name, answer?.label, answer?.neighbours[0]?.similarity.toFixed(4), answer?.neighbours[0]?.id, error]],
  words: (answer) => [el("p", {}, answer.label ? `most similar to ${answer.label}` : "a vector")],
  large: (kept, state) => new Similar(kept, state),
};
