// Lines and zones on a frame: drawn with the pointer, or set in number fields. x and y are shares of the frame, 0 to 1.
import { el, fill, toast } from "../dom.js";

const SVG = "http://www.w3.org/2000/svg";
const HANDLE = 0.02; // of the frame: how near a click has to be to take a corner

export class Places {
  /** changed() is called whenever a line or zone was added, moved or removed. */
  constructor(changed) {
    this.changed = changed;
    this.items = []; // {kind: "line" | "zone", name, points: [[x, y], ...]}
    this.mode = null;
    this.open = null; // a zone whose corners are still being set
    this.drag = null;
    this.svg = make("svg", { class: "places", viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" });
    this.tags = el("div", { class: "tags", "aria-hidden": "true" });
    this.over = el("div", { class: "places-over" }, this.svg, this.tags);
    this.list = el("ul", { class: "place-list" });
    this.hint = el("p", { class: "note", role: "status" });
    this.tools = el("div", { class: "choices", role: "group", "aria-label": "Draw on the frame" });
    this.element = el("div", { class: "place-side" }, el("div", { class: "bar" }, this.tools), this.hint, this.list);
    this.svg.addEventListener("pointerdown", (event) => this.down(event));
    this.svg.addEventListener("pointermove", (event) => this.move(event));
    this.svg.addEventListener("pointerup", (event) => this.up(event));
    this.svg.addEventListener("dblclick", () => this.close());
    this.drawTools();
    this.draw();
  }

  of(kind) {
    return this.items.filter((item) => item.kind === kind).map(({ name, points }) => ({ name, points }));
  }

  choose(mode) {
    this.close();
    this.mode = this.mode === mode ? null : mode;
    this.over.classList.toggle("drawing", this.mode !== null);
    this.drawTools();
  }

  drawTools() {
    const button = (mode, text) => el("button", { type: "button", "aria-pressed": String(this.mode === mode), onclick: () => this.choose(mode) }, text);
    fill(this.tools, button("line", "Draw a line"), button("zone", "Draw a zone"));
    const how = { line: "Drag from one end of the line to the other on the frame. ", zone: "Click the corners on the frame; a double click, or a click on the first corner, ends it. " }[this.mode];
    const kind = this.mode;
    if (how) fill(this.hint, how, el("button", { type: "button", class: "button small", onclick: () => this.add(kind) }, "Place it in the middle"));
    else this.hint.textContent = this.items.length ? "Corners can be dragged, or set below in percent of the frame." : "What crosses a line is counted by direction, what is in a zone by time.";
  }

  /** One in the middle, which the number fields can move. */
  add(kind) {
    this.choose(null);
    const points = kind === "line" ? [[0.2, 0.5], [0.8, 0.5]] : [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]];
    this.put({ kind, name: this.free(kind), points });
    this.list.lastElementChild?.querySelector("input")?.focus();
  }

  free(kind) {
    for (let number = 1; ; number += 1) if (!this.items.some(({ name }) => name === `${kind} ${number}`)) return `${kind} ${number}`;
  }

  put(item) {
    this.items.push(item);
    this.drawList();
    this.draw();
    this.drawTools();
    this.changed();
  }

  place(event) {
    const frame = this.svg.getBoundingClientRect();
    const share = (value, from, side) => Math.min(1, Math.max(0, (value - from) / side));
    return [share(event.clientX, frame.left, frame.width), share(event.clientY, frame.top, frame.height)];
  }

  near([x, y]) {
    for (const item of this.items) {
      const corner = item.points.findIndex(([a, b]) => Math.hypot(a - x, b - y) < HANDLE);
      if (corner >= 0) return { item, corner };
    }
    return null;
  }

  down(event) {
    const point = this.place(event);
    this.svg.setPointerCapture(event.pointerId);
    if (this.mode === "line") {
      this.drag = { item: { kind: "line", name: this.free("line"), points: [point, point] }, corner: 1, fresh: true };
    } else if (this.mode === "zone") {
      const first = this.open?.points[0];
      if (first && this.open.points.length > 2 && Math.hypot(first[0] - point[0], first[1] - point[1]) < HANDLE) return this.close();
      this.open ??= { kind: "zone", name: this.free("zone"), points: [] };
      this.open.points.push(point);
    } else this.drag = this.near(point);
    this.draw();
    return undefined;
  }

  move(event) {
    if (!this.drag) return;
    this.drag.item.points[this.drag.corner] = this.place(event);
    this.draw();
  }

  up() {
    const { drag } = this;
    this.drag = null;
    if (!drag) return;
    if (drag.fresh) {
      const [[a, b], [c, d]] = drag.item.points;
      if (Math.hypot(a - c, b - d) < HANDLE) return this.draw();
      this.put(drag.item);
      return this.choose(null);
    }
    this.drawList();
    this.changed();
    return undefined;
  }

  /** The zone that is being drawn is complete. */
  close() {
    const zone = this.open;
    this.open = null;
    if (!zone) return;
    const points = zone.points.filter(([x, y], place) => !place || Math.hypot(x - zone.points[place - 1][0], y - zone.points[place - 1][1]) > HANDLE / 4);
    if (points.length < 3) {
      toast("A zone needs three corners or more.", null, 4);
      return this.draw();
    }
    this.mode = null;
    this.over.classList.remove("drawing");
    this.put({ ...zone, points });
    return undefined;
  }

  draw() {
    const all = [...this.items, ...(this.drag?.fresh ? [this.drag.item] : []), ...(this.open ? [this.open] : [])];
    const shapes = all.flatMap((item) => {
      const points = item.points.map(([x, y]) => `${x},${y}`).join(" ");
      const closed = item.kind === "zone" && item !== this.open;
      const line = (kind) => make(closed ? "polygon" : "polyline", { points, class: `${kind} ${item.kind}` });
      return [line("casing"), line("stroke")];
    });
    this.svg.replaceChildren(...shapes);
    const at = ([x, y]) => ({ left: `${100 * x}%`, top: `${100 * y}%` });
    fill(this.tags, all.flatMap((item) => [...item.points.map((point) => el("i", { class: `corner ${item.kind}`, style: at(point) })), item !== this.open && el("span", { class: `place-tag ${item.kind}`, style: at(item.points[0]) }, item.name), ...(item.kind === "line" ? sides(item.points) : [])]));
  }

  drawList() {
    fill(this.list, this.items.map((item, number) => this.row(item, number)));
  }

  row(item, number) {
    const name = el("input", { type: "text", value: item.name, maxlength: "60", "aria-label": `Name of ${item.name}`, onchange: () => this.rename(item, name) });
    const field = (point, axis) => {
      const label = `${item.name}, ${item.kind === "line" ? ["start", "end"][point] : `corner ${point + 1}`}, ${"xy"[axis]} in percent`;
      const box = el("input", { type: "number", min: "0", max: "100", step: "0.5", value: String(Math.round(1000 * item.points[point][axis]) / 10), "aria-label": label, oninput: () => this.set(item, point, axis, box.valueAsNumber) });
      return box;
    };
    const fields = item.points.map((_, point) => el("span", { class: "pair" }, field(point, 0), field(point, 1)));
    const away = el("button", { type: "button", class: "quiet", "aria-label": `Remove ${item.name}`, title: "Remove", onclick: () => this.remove(number) }, "✕");
    return el("li", { class: item.kind }, name, el("span", { class: "pairs" }, fields), away);
  }

  set(item, point, axis, value) {
    if (!Number.isFinite(value)) return;
    item.points[point] = item.points[point].map((old, place) => (place === axis ? Math.min(1, Math.max(0, value / 100)) : old));
    this.draw();
    this.changed();
  }

  rename(item, box) {
    const name = box.value.trim();
    if (!name || this.items.some((one) => one !== item && one.name === name)) box.value = item.name;
    else item.name = name;
    this.drawList();
    this.draw();
    this.changed();
  }

  remove(number) {
    this.items.splice(number, 1);
    this.drawList();
    this.draw();
    this.drawTools();
    this.changed();
  }
}

/** The words "left" and "right" beside a line, as someone sees them who walks from its start to its end. */
function sides([[a, b], [c, d]]) {
  const long = Math.hypot(c - a, d - b);
  if (long < 0.05) return [];
  const [x, y] = [(a + c) / 2, (b + d) / 2], [across, down] = [(c - a) / long, (d - b) / long];
  const at = (sign) => ({ left: `${100 * (x - sign * down * 0.045)}%`, top: `${100 * (y + sign * across * 0.045)}%` });
  return [el("span", { class: "way", style: at(-1) }, "left"), el("span", { class: "way", style: at(1) }, "right")];
}

function make(tag, properties) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
  return element;
}
