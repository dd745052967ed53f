// The chosen picture large, of models that tell what is where; `Found` and `Scene` say how their answers are drawn.
import { el, fill, percent } from "../dom.js";

export class Chosen {
  /** Others give drawStage(item), which sets this.stage and this.control, drawAnswer(), and this.table of things. */
  constructor(kept, state) {
    Object.assign(this, { kept, state, item: null });
    this.element = el("section", { class: "large found", "aria-label": "The chosen picture" });
  }

  get model() {
    return this.state.overview.models.find(({ name }) => name === this.kept.model);
  }

  show(item) {
    if (item && item === this.item && item.answer === this.answer && item.error === this.error) return;
    const other = item !== this.item;
    Object.assign(this, { item, answer: item?.answer, error: item?.error });
    if (!item) return fill(this.element);
    this.words = el("div", { class: "said" });
    if (other || !this.stage) this.drawStage(item);
    fill(this.element, el("div", { class: "seen" }, this.stage, this.control), this.words);
    this.control.hidden = !item.answer;
    const head = el("p", { class: "kind" }, item.name);
    if (item.error) return fill(this.words, head, el("h2", { class: "label" }, "cannot be read"), el("p", { class: "reason" }, item.error));
    if (!item.answer) return fill(this.words, head, el("p", { class: "note" }, "Looking …"));
    return this.drawAnswer();
  }

  /** Arrow keys go from row to row while the table has the focus. */
  keyed(event) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const rows = [...this.table.children], place = rows.indexOf(document.activeElement);
    if (!by || place < 0) return;
    event.preventDefault();
    event.stopPropagation();
    rows[Math.min(Math.max(place + by, 0), rows.length - 1)].focus();
  }

  /** A slider for the opacity of `this.layer`, as `this.control`; `label` names what the layer shows. */
  drawSlider(label) {
    this.slider = el("input", { type: "range", id: "opacity", min: "0", max: "100", step: "5", value: String(100 * this.kept.opacity), oninput: () => this.fade(this.slider.value / 100) });
    this.output = el("output", { for: "opacity", class: "number note" });
    this.control = el("div", { class: "heat-control" }, el("div", { class: "heat-slider" }, el("label", { for: "opacity" }, label), this.slider, this.output));
    this.fade(this.kept.opacity);
  }

  fade(opacity) {
    this.kept.opacity = this.layer.opacity = opacity;
    this.output.textContent = percent(opacity, 0);
    this.layer.paint();
  }

  /** The key h. */
  toggle() {
    if (!this.slider) return;
    const next = this.kept.opacity ? 0 : this.before || 0.6;
    this.before = this.kept.opacity;
    this.slider.value = next * 100;
    this.fade(next);
  }

  leave() {}
}

/** To the view that cuts objects out of a picture. */
export function cutButton(item, state) {
  return el("button", { type: "button", class: "quiet", onclick: () => ((state.handed = item), state.go("cutout")), title: "Cut out an object (s)" }, "Cut out an object");
}

/** A table that scrolls, of which one row at a time can have the focus: heads are names, all but the first of numbers. */
export function tableOf(caption, heads, body) {
  const head = (text, place) => el("th", { scope: "col", class: place ? "number" : null }, text);
  return el("div", { class: "table boxes-table" }, el("table", {}, el("caption", { class: "unseen" }, caption), el("thead", {}, el("tr", {}, heads.map(head))), body));
}

/** A row of such a table, which tells when it is looked at: light(on). */
export function rowOf(place, dataset, light, ...cells) {
  const on = () => light(true), off = () => light(false);
  return el("tr", { tabindex: place ? "-1" : "0", dataset, onpointerenter: on, onpointerleave: off, onfocus: on, onblur: off }, ...cells);
}
