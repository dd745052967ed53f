// One picture large with what departs from good ones: hot places with an opacity slider, their boxes, verdict and p-value.
import { attempt, count, el, fill, percent } from "../dom.js";
import { Chosen, rowOf, tableOf } from "../views/chosen.js";
import { BROKEN } from "../views/kinds.js";
import { Boxes, drawn, Layer, makeStage, save, stem } from "../views/overlay.js";

const WORDS = { good: "Good", anomalous: "Anomalous", unsure: "Unsure" };
const pValue = (p) => (p < 0.001 ? "p < 0.001" : `p = ${p.toFixed(3)}`);

class Departure extends Chosen {
  drawStage(item) {
    this.layer = new Layer();
    this.boxes = new Boxes({ lit: (index) => this.light(index) });
    this.stage = makeStage(item, this.layer.element, this.boxes.element).stage;
    this.drawSlider("Hot places");
  }

  drawAnswer() {
    const { answer, item, model } = this;
    const boxes = answer.boxes.map((box, index) => ({ ...box, label: "", score: undefined, index }));
    const result = { file: item.name, score: answer.score, p: answer.p, verdict: answer.verdict, boxes: answer.boxes.map(({ xyxy, score, area }) => ({ xyxy, score, area })) };
    const button = (text, action) => el("button", { type: "button", class: "button", onclick: () => attempt(action) }, text);
    this.table = el("tbody", { onkeydown: (event) => this.keyed(event) });
    fill(this.table, answer.boxes.map((box, place) => this.row(box, place)));
    fill(
      this.words,
      el("p", { class: "kind" }, item.name),
      el("h2", { class: "label" }, WORDS[answer.verdict], el("span", { class: "confidence number" }, pValue(answer.p))),
      el("p", { class: "words" }, this.sentence()),
      el(
        "div",
        { class: "bar downloads" },
        button("Save picture", async () => save(await drawn(item, answer.size, boxes, model.colours, this.layer.element), `${stem(item.name)}.hot.png`)),
        button("Save JSON", async () => save(`${JSON.stringify(result)}\n`, `${stem(item.name)}.anomaly.json`)),
      ),
      answer.boxes.length > 0 && tableOf("Hot places, the hottest first", ["Place", "Heat", "Area"], this.table),
    );
    this.boxes.names = false;
    this.boxes.show(answer.size, boxes, model.colours);
    this.layer.show(answer.layer, model.colours);
  }

  sentence() {
    const { p, verdict, good_images: n, false_alarms: rate } = this.answer;
    const share = `Of ${count(n, "good picture")} that were left out of the memory, ${percent(Math.max(0, p * (n + 1) - 1) / n, 0)} have such a score or a higher one.`;
    if (verdict === "anomalous") return `${share} At most ${percent(rate, 0)} of good pictures are called anomalous.`;
    if (verdict === "unsure") return `${share} There are too few good pictures to call it good or anomalous.`;
    return share;
  }

  row({ xyxy, score, area }, place) {
    const [x1, y1, x2, y2] = xyxy.map(Math.round);
    return rowOf(place, { index: place }, (on) => this.light(on ? place : null), el("th", { scope: "row" }, `${x1}, ${y1} to ${x2}, ${y2}`), el("td", { class: "number" }, `${score.toFixed(2)} x`), el("td", { class: "number" }, percent(area)));
  }

  light(index) {
    this.boxes.light(index);
    for (const row of this.table?.children ?? []) row.classList.toggle("lit", index !== null && Number(row.dataset.index) === index);
  }
}

export default {
  over: "Hot places",
  filters: { all: "All", anomalous: "Anomalous", unsure: "Unsure", good: "Good", ...BROKEN },
  orders: { given: "as given", most: "most anomalous first", name: "by file name" },
  kind: (item) => item.answer.verdict,
  by: { most: (item) => (item.answer ? -item.answer.score : Infinity) },
  brief: (answer) => [el("strong", {}, WORDS[answer.verdict]), el("span", { class: "number soft" }, pValue(answer.p))],
  spoken: (answer) => `${answer.verdict}, ${pValue(answer.p)}`,
  columns: ["file", "verdict", "p", "score", "regions", "error"],
  lines: ({ name, answer, error }) => [[name, answer?.verdict, answer?.p.toFixed(6), answer?.score.toFixed(6), answer?.boxes.length, error]],
  words: (answer) => [el("p", {}, `${WORDS[answer.verdict]}, ${pValue(answer.p)}`), answer.boxes.length > 0 && el("p", { class: "note" }, count(answer.boxes.length, "hot place"))],
  layers: (answer) => ({ mask: answer.layer, boxes: answer.boxes.map((box, index) => ({ ...box, index })) }),
  large: (kept, state) => new Departure(kept, state),
};
