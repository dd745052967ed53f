// Cut out: click an object and get its mask; a second click adds or, with Shift or Alt, takes away; a box by dragging.
import { api, attempt, el, fill, percent, say } from "../dom.js";
import { save, stem } from "./overlay.js";
import { fetchSample, samplesOf, sampleStrip } from "./samples.js";
import { fetchPanel, weights } from "./weights.js";

const COLOUR = [64, 156, 255];
const DRAG = 6; // pixels that the pointer has to move for a box
// What was opened stays while other views are visited.
const kept = { item: null, number: null, size: null, steps: [], negative: false, opacity: 0.55 };

export async function show(root, state) {
  const ready = await attempt(() => api("/api/cut/ready"));
  if (!ready) return undefined;
  if (!ready.ready) return absent(root, state, ready.reason);
  const view = new CutOut(root, state);
  view.draw();
  return () => view.leave();
}

/** The network is not here: it can be fetched, and then the view goes on. */
async function absent(root, state, reason) {
  const place = el("div", {}, el("p", { class: "note" }, reason));
  fill(root, el("h1", {}, "Cut out"), el("p", { class: "lead" }, "Click an object in a picture and get its exact outline. The network for that is not here yet."), place);
  const one = (await weights()).find(({ name, here }) => name === "mobilesam" && !here);
  if (one) fill(place, fetchPanel(one, () => state.go("cutout", { ready: 1 })));
}

class CutOut {
  constructor(root, state) {
    Object.assign(this, { root, state, ended: new AbortController(), turn: 0, cursor: [0.5, 0.5] });
  }

  draw() {
    const files = el("input", { type: "file", accept: "image/*,.tif,.tiff,.ppm,.pgm", hidden: true, onchange: () => files.files.length && this.open(files.files[0]) });
    this.pick = () => files.click();
    this.drop = el("section", { class: "drop", "aria-label": "Bring in a picture" }, el("p", { class: "drop-words" }, el("strong", {}, "Drop a picture here"), el("span", { class: "note" }, "or paste it. It stays on this computer.")), el("div", { class: "drop-buttons" }, el("button", { type: "button", class: "button primary", title: "Choose a picture (o)", onclick: this.pick }, "Choose a picture")), files);
    this.work = el("div", { class: "cut-work", hidden: true });
    this.offer = el("section", { class: "try", "aria-label": "Pictures to try" });
    fill(this.root, el("h1", {}, "Cut out"), el("p", { class: "lead" }, "Click an object and get its exact outline."), this.drop, this.offer, this.work);
    this.state.keys = {
      o: ["Choose a picture", this.pick],
      u: ["Undo the last click", () => this.undo()],
      n: ["Clicks take away, or add", () => this.turnOver()],
      x: ["Start over", () => this.clear()],
    };
    this.listen();
    const given = this.state.handed;
    this.state.handed = null;
    if (given) this.open(given.file, given.url);
    else if (kept.item) this.lay();
    else this.offerSamples();
  }

  async offerSamples() {
    if (!this.state.model) return;
    const offered = await samplesOf(this.state.model);
    if (!offered.pictures.length || this.turn || this.ended.signal.aborted) return;
    fill(this.offer, el("h2", {}, "Or try one of these"), sampleStrip(offered, 8, (sample) => attempt(async () => this.open(await fetchSample(offered, sample)))));
  }

  listen() {
    const { signal } = this.ended;
    addEventListener("dragover", (event) => event.preventDefault(), { signal });
    addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer.files.length) this.open(event.dataTransfer.files[0]);
    }, { signal });
    addEventListener("paste", (event) => event.clipboardData?.files.length && this.open(event.clipboardData.files[0]), { signal });
  }

  async open(file, url = null) {
    const mine = ++this.turn;
    fill(this.offer);
    Object.assign(kept, { item: null, number: null, steps: [] });
    this.drop.classList.add("small");
    this.work.hidden = false;
    fill(this.work, el("p", { class: "note" }, "Looking at the picture …"));
    const found = await attempt(() => api("/api/cut/open", { body: file, signal: this.ended.signal }));
    if (mine !== this.turn) return;
    if (!found) {
      this.work.hidden = true;
      this.drop.classList.remove("small");
      return;
    }
    kept.item = { name: file.name, url: url ?? (await shown(file)) };
    Object.assign(kept, { number: found.picture, size: found.size });
    say(`${file.name} is open`);
    this.lay();
  }

  /** The stage with the picture, and what can be done beside it. */
  lay() {
    const [height, width] = kept.size;
    this.drop.classList.add("small");
    this.work.hidden = false;
    this.canvas = el("canvas", { class: "layer", "aria-hidden": "true" });
    this.marks = el("div", { class: "tags", "aria-hidden": "true" });
    this.box = el("i", { class: "cut-box", hidden: true });
    this.cross = el("i", { class: "cut-cross", hidden: true });
    this.stage = el(
      "div",
      { class: "stage cut-stage", tabindex: "0", role: "application", "aria-label": "Picture: arrow keys move the cross, Enter marks the object, Shift and Enter what is not of it", "aria-describedby": "cut-how" },
      el("img", { class: "picture", src: kept.item.url, alt: kept.item.name, draggable: "false" }), this.canvas, this.marks, this.box, this.cross,
    );
    this.stage.style.setProperty("--ratio", width / height);
    this.stage.addEventListener("pointerdown", (event) => this.down(event));
    this.stage.addEventListener("pointermove", (event) => this.move(event));
    this.stage.addEventListener("pointerup", (event) => this.up(event));
    this.stage.addEventListener("pointercancel", () => (this.from = null));
    this.stage.addEventListener("contextmenu", (event) => event.preventDefault());
    this.stage.addEventListener("keydown", (event) => this.keyed(event));
    this.stage.addEventListener("blur", () => (this.cross.hidden = true));
    this.head = el("h2", { class: "label" });
    this.facts = el("p", { class: "note number" });
    this.sign = el("div", { class: "choices", role: "group", "aria-label": "What a click means" });
    const slider = el("input", { type: "range", id: "cut-opacity", min: "0", max: "100", step: "5", value: String(100 * kept.opacity), oninput: () => ((kept.opacity = slider.value / 100), (this.canvas.style.opacity = kept.opacity)) });
    const tool = (text, action, key = null) => el("button", { type: "button", class: "button", title: key && `${text} (${key})`, onclick: action }, text);
    this.back = tool("Undo", () => this.undo(), "u");
    this.anew = tool("Start over", () => this.clear(), "x");
    this.files = [tool("Save cut-out", () => this.load("object")), tool("Save mask", () => this.load("mask"))];
    this.canvas.style.opacity = kept.opacity;
    fill(
      this.work,
      el("div", { class: "seen" }, this.stage, el("div", { class: "heat-slider" }, el("label", { for: "cut-opacity" }, "Mask"), slider)),
      el(
        "div",
        { class: "said" },
        el("p", { class: "kind" }, kept.item.name),
        this.head,
        this.facts,
        this.sign,
        el("div", { class: "bar downloads" }, this.back, this.anew),
        el("div", { class: "bar downloads" }, this.files),
        el("p", { class: "note", id: "cut-how" }, "Click what you want; drag a box around it where it is small or crowded. Shift or Alt and a click says what is not of it. With the keyboard: arrow keys move a cross, Enter and Shift + Enter click."),
      ),
    );
    this.drawSign();
    this.ask();
  }

  drawSign() {
    const button = (negative, text) => el("button", { type: "button", "aria-pressed": String(kept.negative === negative), onclick: () => ((kept.negative = negative), this.drawSign()) }, text);
    fill(this.sign, button(false, "+ belongs to it"), button(true, "− does not"));
  }

  turnOver() {
    kept.negative = !kept.negative;
    if (this.sign) this.drawSign();
  }

  // The pointer and the keys

  place(event) {
    const frame = this.stage.getBoundingClientRect();
    const [height, width] = kept.size;
    const within = (value, from, side, most) => Math.min(most, Math.max(0, ((value - from) / side) * most));
    return [within(event.clientX, frame.left, frame.width, width), within(event.clientY, frame.top, frame.height, height)];
  }

  down(event) {
    if (event.button > 0) return;
    event.preventDefault();
    this.stage.focus({ preventScroll: true });
    this.cross.hidden = true;
    this.stage.setPointerCapture(event.pointerId);
    this.from = { at: [event.clientX, event.clientY], point: this.place(event), box: null };
  }

  move(event) {
    if (!this.from) return;
    const far = Math.hypot(event.clientX - this.from.at[0], event.clientY - this.from.at[1]);
    if (far < DRAG && !this.from.box) return;
    const [[a, b], [c, d]] = [this.from.point, this.place(event)];
    this.from.box = [Math.min(a, c), Math.min(b, d), Math.max(a, c), Math.max(b, d)];
    this.drawBox(this.from.box);
  }

  up(event) {
    const { from } = this;
    this.from = null;
    if (!from) return;
    if (!from.box) return this.click(from.point, event.shiftKey || event.altKey);
    const [x1, y1, x2, y2] = from.box;
    if (x2 - x1 >= 1 && y2 - y1 >= 1) kept.steps.push({ box: from.box });
    return this.ask();
  }

  keyed(event) {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!by && event.key !== "Enter") return;
    event.preventDefault();
    event.stopPropagation();
    const step = event.shiftKey ? 0.05 : 0.01;
    if (by) this.cursor = this.cursor.map((value, axis) => Math.min(1, Math.max(0, value + step * by[axis])));
    else this.click([this.cursor[0] * kept.size[1], this.cursor[1] * kept.size[0]], event.shiftKey || event.altKey);
    Object.assign(this.cross.style, { left: `${100 * this.cursor[0]}%`, top: `${100 * this.cursor[1]}%` });
    this.cross.hidden = false;
  }

  click(point, away) {
    kept.steps.push({ point, positive: !(away || kept.negative) });
    this.ask();
  }

  undo() {
    kept.steps.pop();
    if (this.stage) this.ask();
  }

  clear() {
    kept.steps = [];
    if (this.stage) this.ask();
  }

  // The mask

  async ask() {
    const mine = ++this.turn;
    const points = kept.steps.filter(({ point }) => point);
    const box = kept.steps.findLast((step) => step.box)?.box ?? null;
    this.drawMarks(points, box);
    this.back.disabled = this.anew.disabled = !kept.steps.length;
    if (!box && !points.some(({ positive }) => positive)) return this.drawMask(null, kept.steps.length ? "Now click what is of it" : "Click an object");
    const json = { picture: kept.number, points: points.map(({ point }) => point), positive: points.map(({ positive }) => positive), box };
    const found = await attempt(() => api("/api/cut/mask", { json, signal: this.ended.signal }));
    if (found && mine === this.turn) await this.drawMask(found);
    return undefined;
  }

  drawMarks(points, box) {
    const [height, width] = kept.size;
    fill(this.marks, points.map(({ point: [x, y], positive }) => el("i", { class: positive ? "cut-point" : "cut-point not", style: { left: `${(100 * x) / width}%`, top: `${(100 * y) / height}%` } }, positive ? "+" : "−")));
    this.drawBox(box);
  }

  drawBox(box) {
    const [height, width] = kept.size;
    this.box.hidden = !box;
    if (box) Object.assign(this.box.style, { left: `${(100 * box[0]) / width}%`, top: `${(100 * box[1]) / height}%`, width: `${(100 * (box[2] - box[0])) / width}%`, height: `${(100 * (box[3] - box[1])) / height}%` });
  }

  async drawMask(found, words = null) {
    for (const button of this.files) button.disabled = !found?.pixels;
    this.head.textContent = words ?? (found.pixels ? "Cut out" : "Nothing there");
    this.facts.textContent = found ? `${percent(found.share)} of the picture · fits by its own estimate ${percent(found.score, 0)}` : "\u00a0";
    if (!found) return this.canvas.getContext("2d").clearRect(0, 0, this.canvas.width, this.canvas.height);
    const image = new Image();
    image.src = found.mask;
    await image.decode();
    paint(this.canvas, image);
    say(`Cut out, ${percent(found.share)} of the picture`);
    return undefined;
  }

  async load(kind) {
    const response = await fetch(`/api/cut/file?${new URLSearchParams({ picture: kept.number, kind })}`);
    if (response.ok) save(await response.blob(), `${stem(kept.item.name)}.${kind === "mask" ? "mask" : "cut-out"}.png`);
    else attempt(async () => { throw new Error((await response.json()).error); });
  }

  leave() {
    this.ended.abort();
  }
}

/** The mask in its colour with a firm outline. */
function paint(canvas, image) {
  const [width, height] = [image.naturalWidth, image.naturalHeight];
  Object.assign(canvas, { width, height });
  const page = canvas.getContext("2d", { willReadFrequently: true });
  page.drawImage(image, 0, 0);
  const drawn = page.getImageData(0, 0, width, height), out = drawn.data;
  const inside = new Uint8Array(width * height);
  for (let place = 0; place < inside.length; place += 1) inside[place] = out[4 * place] > 127 ? 1 : 0;
  for (let y = 0, place = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1, place += 1) {
      const edge = inside[place] && !(x && y && x < width - 1 && y < height - 1 && inside[place - 1] && inside[place + 1] && inside[place - width] && inside[place + width]);
      const [red, green, blue] = edge ? [255, 255, 255] : COLOUR;
      out.set([red, green, blue, inside[place] ? 255 : 0], 4 * place);
    }
  }
  page.putImageData(drawn, 0, 0);
}

/** An address of a picture that the browser can show: its own, or as JPEG from the server. */
async function shown(file) {
  const url = URL.createObjectURL(file);
  const image = new Image();
  image.src = url;
  try {
    await image.decode();
    return url;
  } catch {
    const response = await fetch("/api/recognise/preview", { method: "POST", body: file });
    return response.ok ? URL.createObjectURL(await response.blob()) : url;
  }
}
