// The network that a training starts from: those that are here, and those that a button fetches.
import { el, fill } from "../dom.js";
import { fetchPanel, weights } from "./weights.js";

export class Networks {
  constructor() {
    this.select = el("select");
    this.more = el("details", { hidden: true });
    this.element = el("div", { dataset: { option: "backbone" } }, el("label", { class: "field" }, "Network to start from", this.select), this.more);
  }

  /** The name of the chosen weights; null where the training chooses. */
  get value() {
    return (!this.select.closest("[hidden]") && this.select.value) || null;
  }

  /** Offer what a task can learn from; `task` is its name. */
  async show(task) {
    this.task = task;
    const known = (await weights()).filter(({ learns }) => learns.includes(task));
    if (this.task !== task) return;
    const here = known.filter((one) => one.here), missing = known.filter((one) => !one.here);
    const before = this.select.value;
    fill(this.select, el("option", { value: "" }, "chosen for you"), here.map((one) => el("option", { value: one.name, selected: one.name === before }, facts(one))));
    const row = (one) => el("details", {}, el("summary", {}, el("strong", {}, one.name), el("span", { class: "note" }, ` ${[`${one.megabytes} MB`, one.score.replace(/ \(.*/, ""), one.use].filter(Boolean).join(" · ")}`)), fetchPanel(one, () => this.show(task)));
    this.more.hidden = !missing.length;
    fill(this.more, el("summary", {}, "Fetch another network"), missing.map(row));
  }
}

/** "efficientnet_lite0 (4.7 million parameters, top-1 74.8% on ImageNet)". */
function facts({ name, parameters, score }) {
  const known = [parameters && `${parameters} million parameters`, score.replace(/ \(.*/, "")].filter(Boolean);
  return known.length ? `${name} (${known.join(", ")})` : name;
}
