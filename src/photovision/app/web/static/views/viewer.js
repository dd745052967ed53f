// A picture that fills the page, with all that is known of it, and its label one key away.
import { api, count, el, fill } from "../dom.js";
import { labelOf } from "./deciding.js";
import { kindOf, overlay } from "./kinds.js";
import { Boxes, Layer, swatch } from "./overlay.js";
import { fetchSample } from "./samples.js";
import { similarButton } from "./similar.js";

const UNITS = ["B", "kB", "MB", "GB"];

/**
 * layer(row) -> address of its masks, colours: class -> "#rrggbb" of data with boxes or masks, else null;
 * editable: whether labels of whole pictures are corrected; classes: of the data; hidden: numbers of classes whose pixels are not drawn; at(index) -> row (a promise), large(row) -> address, total(), key(event, index) -> whether it did something,
 * controls() -> the buttons of all decisions, moved(index), jump(i, index) -> shows the picture at position i.
 */
export class Viewer {
  constructor({ data, editable, hidden, classes, state, at, large, layer, colours, total, key, controls, moved, closed }) {
    Object.assign(this, { data, editable, hidden, classes, state, at, large, layer, colours, total, key, controls, moved, closed });
    this.image = el("img", { alt: "" });
    this.broken = el("p", { class: "note", hidden: true }, "This picture cannot be read.");
    this.place = el("p", { class: "note number" });
    this.boxes = new Boxes({ lit: (index) => this.boxes.light(index) });
    this.masks = new Layer();
    this.over = el("div", { class: "over", hidden: true }, this.masks.element, this.boxes.element);
    new ResizeObserver(() => this.fit()).observe(this.image);
    this.facts = el("div", { class: "known" });
    this.keys = el("div", { class: "decide" });
    const step = (by, sign, name) => el("button", { type: "button", class: "button", "aria-label": name, title: name, onclick: () => this.go(by) }, sign);
    const shut = el("button", { type: "button", class: "button", "aria-label": "Close", title: "Close (Esc)", onclick: () => this.element.close() }, "✕");
    this.element = el(
      "dialog",
      { class: "viewer", tabindex: "-1", "aria-label": "Picture" },
      el("div", { class: "picture" }, this.image, this.over, this.broken),
      el("div", { class: "side" }, el("div", { class: "turn" }, step(-1, "←", "Previous"), step(1, "→", "Next"), this.place, shut), this.facts, this.keys),
    );
    this.image.addEventListener("error", () => this.loaded(true));
    this.image.addEventListener("load", () => this.loaded(false));
    this.element.addEventListener("keydown", (event) => this.keyed(event));
    this.element.addEventListener("close", () => {
      this.giveBack();
      this.closed(this.index);
    });
    this.index = 0;
    this.turn = 0;
  }

  /** The messages of the page go back to it, before the view is gone, too. */
  giveBack() {
    document.body.append(...(this.messages ?? []));
    this.messages = null;
  }

  get open() {
    return this.element.open;
  }

  loaded(broken) {
    this.broken.hidden = !broken;
    this.image.hidden = broken;
    this.image.style.setProperty("--most", `${3 * this.image.naturalWidth}px`);
    this.image.classList.toggle("pixels", Math.max(this.image.naturalWidth, this.image.naturalHeight) < 120);
    this.fit();
  }

  /** Boxes and masks lie over the picture itself, which does not fill its place. */
  fit() {
    const { naturalWidth: width, naturalHeight: height, clientWidth, clientHeight, offsetLeft, offsetTop } = this.image;
    const scale = Math.min(clientWidth / width, clientHeight / height);
    if (!Number.isFinite(scale) || !scale) return;
    const place = { left: offsetLeft + (clientWidth - scale * width) / 2, top: offsetTop + (clientHeight - scale * height) / 2, width: scale * width, height: scale * height };
    for (const [name, value] of Object.entries(place)) this.over.style[name] = `${value}px`;
  }

  /** What the data say is where, or where the model's answer was asked for, what it says. */
  async drawOver(known, mine) {
    this.over.hidden = true;
    if (this.answer?.said) return this.overAnswer();
    if (!this.colours || !known?.height) return undefined;
    const names = Object.keys(this.colours), colours = Object.values(this.colours);
    this.boxes.show([known.height, known.width], (known.masks ? [] : known.boxes ?? []).map((box, index) => ({ ...box, index, class: names.indexOf(box.label) })), colours);
    this.masks.element.hidden = !known.masks;
    if (known.masks) await this.masks.show(this.layer(this.row), colours, this.hidden).catch(() => (this.masks.element.hidden = true));
    if (mine !== this.turn) return undefined;
    this.over.hidden = false;
    return this.fit();
  }

  /** The chosen model, or where it cannot know anything of these data, another one that can. */
  get model() {
    const { models } = this.state.overview, chosen = models.find(({ name }) => name === this.state.model);
    const whole = ({ annotation_type: type }) => ["labels", "defects"].includes(type);
    if (this.editable && chosen && whole(chosen)) return chosen;
    const fits = (model) => !model.error && whole(model) === this.editable && model.classes.some((name) => this.classes.includes(name));
    return [chosen, ...models].find((model) => model && fits(model)) ?? null;
  }

  /** The boxes or masks of the model instead of those of the data. */
  async overAnswer() {
    const { answer, model } = this;
    await overlay(this.boxes, this.masks, answer, {}, model);
    this.over.hidden = false;
    this.fit();
  }

  /** A switch between what the data and what the model say is where. */
  sides() {
    const side = (said, text) => el("button", { type: "button", "aria-pressed": String(Boolean(this.answer.said) === said), onclick: () => this.turnTo(said) }, text);
    return el("div", { class: "choices", role: "group", "aria-label": "Over the picture" }, side(false, "Data"), side(true, "Model"));
  }

  turnTo(said) {
    this.answer.said = said;
    this.draw();
    this.drawOver(this.known, this.turn);
  }

  async show(index) {
    this.index = index;
    const mine = ++this.turn;
    if (!this.open) {
      this.element.showModal();
      this.messages = ["toasts", "live"].map((id) => document.getElementById(id));
      this.element.append(...this.messages); // what lies outside of an open dialog is neither seen nor read
      this.element.focus();
    }
    this.moved(index);
    const row = await this.at(index);
    if (mine !== this.turn || !row) return;
    this.row = row;
    this.image.hidden = false;
    this.over.hidden = true;
    this.image.src = this.large(row);
    this.image.alt = row.name;
    this.place.textContent = `${count(index + 1)} of ${count(this.total())}`;
    this.draw();
    await this.know(row, mine);
    if (mine === this.turn && index + 1 < this.total()) this.at(index + 1).then((next) => next && (new Image().src = this.large(next))).catch(() => {});
  }

  go(by) {
    const next = this.index + by;
    if (next >= 0 && next < this.total()) this.show(next);
  }

  /** Facts and the model's answer come a little later than the picture. */
  async know(row, mine) {
    this.known = this.answer = null;
    this.known = await api("/api/browse/facts", { query: { data: this.data, i: row.i } }).catch(() => null);
    if (mine !== this.turn) return;
    this.draw();
    this.drawOver(this.known, mine);
    if (!this.model) return;
    this.answer = await api("/api/browse/answer", { query: { data: this.data, i: row.i, model: this.model.name } }).catch((error) => ({ error: error.message }));
    if (mine === this.turn) this.draw();
  }

  /** Draw the words again, after a decision, too. */
  draw() {
    const row = this.row, known = this.known?.i === row.i ? this.known : null;
    const now = labelOf(row);
    const was = row.label.join(", ") || "no class";
    const title = now === null ? "left out" : now.join(", ") || (this.colours ? "nothing drawn" : "no class");
    const changed = row.decision && row.decision.decision !== "right";
    fill(
      this.facts,
      el("p", { class: "kind" }, row.split ?? "picture"),
      el("h2", {}, title),
      changed && el("p", { class: "note" }, `The data say ${was}; decided ${new Date(row.decision.time).toLocaleString("en")}.`),
      row.decision?.decision === "right" && el("p", { class: "note good" }, "Looked at: the label is right."),
      el("p", { class: "note name" }, row.name),
      similarButton(this.state, () => fetchSample({ data: this.data }, row), "button"),
      this.colours && this.counted(row),
      known && this.found(known),
      known && el("dl", { class: "plain" }, this.lines(known).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
      this.said(),
    );
    fill(this.keys, this.controls(row));
    if (this.open && !this.element.contains(document.activeElement)) this.element.focus(); // its button was drawn anew
  }

  found(known) {
    return el("div", {}, known.found.map(({ text, others }) =>
      el("div", { class: "warning" }, text, others.length > 0 && el("div", { class: "others" }, others.map((other) =>
        el("figure", {}, el("img", { src: `/api/browse/thumbnail?${new URLSearchParams({ data: this.data, i: other.i })}`, alt: "" }), el("figcaption", {}, `${other.label.join(", ")}: ${other.name.split("/").at(-1)}`)))))));
  }

  counted(row) {
    const pairs = row.objects ? Object.entries(row.objects) : row.label.map((name) => [name, null]);
    return el("ul", { class: "legend-list counted" }, pairs.map(([name, many]) => el("li", {}, swatch(this.colours[name] ?? "#888"), name, many !== null && el("span", { class: "number soft" }, ` ${count(many)}`))));
  }

  lines(known) {
    const lines = [];
    if (known.width) lines.push(["Pixels", `${count(known.width)} × ${count(known.height)}`]);
    if (known.bytes !== undefined) lines.push(["File", `${known.format ? `${known.format}, ` : ""}${size(known.bytes)}`]);
    if (known.rotated) lines.push(["Turned", "upright, by its EXIF orientation"]);
    if (known.error) lines.push(["Problem", known.error]);
    return [...lines, ...Object.entries(known.groups)];
  }

  said() {
    const { answer, model } = this;
    if (!model) return null;
    const head = el("h3", {}, `What ${model.name} says`);
    if (!answer) return el("div", { class: "answered" }, head, el("p", { class: "note" }, "Looking …"));
    if (answer.error) return el("div", { class: "answered" }, head, el("p", { class: "note" }, answer.error));
    const kind = kindOf(model);
    return el("div", { class: "answered" }, head, kind.words(answer, model), kind.layers && this.sides());
  }

  keyed(event) {
    if (event.target.closest("input, select") || event.ctrlKey || event.metaKey || event.altKey) {
      if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
    }
    const plain = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
    if (event.key in plain) this.go(plain[event.key]);
    else if (event.key === "Home") this.show(0);
    else if (event.key === "End") this.show(this.total() - 1);
    else if (!this.key(event, this.index)) return;
    event.preventDefault();
  }
}

function size(bytes) {
  const power = Math.min(UNITS.length - 1, bytes > 0 ? Math.floor(Math.log10(bytes) / 3) : 0);
  return `${(bytes / 1000 ** power).toFixed(power ? 1 : 0)}\u00a0${UNITS[power]}`;
}
