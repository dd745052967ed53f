// What is where, over a picture: boxes as SVG with their names, masks on a canvas. All of it scales with the picture.
import { count, el, fill, percent } from "../dom.js";

const SVG = "http://www.w3.org/2000/svg";
const MOST_NAMES = 12; // with more boxes only the name of the one that is looked at is shown
const FILL = 0.8; // of the slider's opacity; outlines keep all of it

/** A picture in a stage whose proportions are known once it is loaded; gives {stage, picture}. */
export function makeStage(item, ...over) {
  const picture = el("img", { class: "picture", src: item.url, alt: item.name, dataset: { item: item.id } });
  const stage = el("div", { class: "stage" }, picture, over);
  picture.addEventListener("load", () => {
    stage.style.setProperty("--ratio", picture.naturalWidth / picture.naturalHeight);
    picture.classList.toggle("pixels", Math.max(picture.naturalWidth, picture.naturalHeight) < 120);
  });
  return { stage, picture };
}

/** Black or white, whatever can be read on a colour "#rrggbb". */
export function inkOn(colour) {
  const [red, green, blue] = [1, 3, 5].map((place) => (parseInt(colour.slice(place, place + 2), 16) / 255) ** 2.2);
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 ? "#000" : "#fff"; // relative luminance (WCAG 2)
}

/** Boxes over a picture. lit(index or null) is called as the pointer moves over them, picked(index) for a click. */
export class Boxes {
  constructor({ lit = () => {}, picked = () => {} } = {}) {
    this.svg = make("svg", { preserveAspectRatio: "none", "aria-hidden": "true" });
    this.tags = el("div", { class: "tags", "aria-hidden": "true" });
    this.element = el("div", { class: "boxes" }, this.svg, this.tags);
    this.names = null; // null: as many as can be read
    const at = (event) => event.target.dataset?.index ?? null;
    this.svg.addEventListener("pointermove", (event) => lit(at(event) === null ? null : Number(at(event))));
    this.svg.addEventListener("pointerleave", () => lit(null));
    this.svg.addEventListener("click", (event) => at(event) !== null && picked(Number(at(event))));
  }

  /** boxes: [{xyxy, label, class, score?, index}] in pixels of a picture of size [H, W]. */
  show(size, boxes, colours) {
    Object.assign(this, { size, boxes, colours, one: null });
    this.element.classList.remove("one");
    this.svg.setAttribute("viewBox", `0 0 ${size[1]} ${size[0]}`);
    const area = ({ xyxy: [x1, y1, x2, y2] }) => (x2 - x1) * (y2 - y1);
    const back = [...boxes].sort((a, b) => area(b) - area(a)); // small ones in front, where the pointer finds them
    const shape = ({ xyxy: [x1, y1, x2, y2], index }, properties) => make("rect", { x: x1, y: y1, width: Math.max(x2 - x1, 0), height: Math.max(y2 - y1, 0), "data-index": index, ...properties });
    this.svg.replaceChildren(...back.flatMap((box) => [shape(box, { class: "casing" }), shape(box, { class: "box", stroke: colours[box.class] })]));
    this.drawTags(null);
  }

  drawTags(index) {
    const all = this.names ?? this.boxes.length <= MOST_NAMES;
    fill(this.tags, this.boxes.filter((box) => all || box.index === index).map((box) => this.tag(box, box.index === index)));
  }

  tag({ label, score, xyxy, class: kind }, lit) {
    const [x1, y1] = xyxy, [height, width] = this.size;
    const colour = this.colours[kind];
    const inside = y1 < 0.06 * height ? " inside" : "";
    const side = x1 > 0.75 * width ? { right: `${100 - (100 * Math.min(xyxy[2], width)) / width}%` } : { left: `${(100 * Math.max(x1, 0)) / width}%` };
    return el("span", { class: `tag${inside}${lit ? " lit" : ""}`, style: { ...side, top: `${(100 * Math.max(y1, 0)) / height}%`, background: colour, color: inkOn(colour) } }, score === undefined ? label : `${label} ${percent(score, 0)}`);
  }

  /** Make one box stand out, or none. */
  light(index) {
    if (index === this.one) return;
    this.one = index;
    this.element.classList.toggle("one", index !== null);
    for (const shape of this.svg.children) shape.classList.toggle("lit", Number(shape.dataset.index) === index);
    this.drawTags(index);
  }
}

/** Masks over a picture, from a PNG of class + 1, object's number high, low, as core/page_layers.py writes it. */
export class Layer {
  constructor({ lit = () => {} } = {}) {
    this.element = el("canvas", { class: "layer", "aria-hidden": "true" });
    this.opacity = 0.6;
    this.hidden = new Set();
    this.one = null;
    this.element.addEventListener("pointermove", (event) => lit(this.at(event)));
    this.element.addEventListener("pointerleave", () => lit(null));
  }

  async show(url, colours, hidden = []) {
    const image = new Image();
    image.src = url;
    await image.decode();
    Object.assign(this, { width: image.naturalWidth, height: image.naturalHeight, hidden: new Set(hidden) });
    this.element.width = this.width;
    this.element.height = this.height;
    const page = this.element.getContext("2d", { willReadFrequently: true });
    page.drawImage(image, 0, 0);
    this.values = page.getImageData(0, 0, this.width, this.height).data;
    this.colours = colours.map((colour) => [1, 3, 5].map((place) => parseInt(colour.slice(place, place + 2), 16)));
    this.paint();
  }

  /** {class, number} below the pointer, number 0 where objects are not told apart; null where there is nothing. */
  at(event) {
    if (!this.values) return null;
    const [x, y] = [(event.offsetX / this.element.clientWidth) * this.width, (event.offsetY / this.element.clientHeight) * this.height].map(Math.floor);
    const place = 4 * (y * this.width + x);
    const kind = this.values[place] - 1;
    return kind < 0 || kind === undefined || this.hidden.has(kind) ? null : { class: kind, number: this.values[place + 1] * 256 + this.values[place + 2] };
  }

  /** Draw it: classes in their colours, objects with an outline, one of them brighter where one is looked at. */
  paint() {
    if (!this.values) return;
    const { values, width, height, one } = this;
    const page = this.element.getContext("2d");
    const drawn = page.createImageData(width, height), out = drawn.data;
    const soft = Math.round(255 * this.opacity * FILL), firm = this.opacity ? Math.round(255 * Math.min(1, 0.35 + this.opacity)) : 0;
    const differs = (place, other) => values[place] !== values[other] || values[place + 1] !== values[other + 1] || values[place + 2] !== values[other + 2];
    for (let y = 0, place = 0; y < height; y += 1) {
      for (let x = 0; x < width; x += 1, place += 4) {
        const kind = values[place] - 1;
        if (kind < 0 || this.hidden.has(kind)) continue;
        const edge = (x > 0 && differs(place, place - 4)) || (x + 1 < width && differs(place, place + 4)) || (y > 0 && differs(place, place - 4 * width)) || (y + 1 < height && differs(place, place + 4 * width));
        const number = values[place + 1] * 256 + values[place + 2];
        const lit = one && one.class === kind && (!one.number || one.number === number);
        const [red, green, blue] = this.colours[kind] ?? [255, 255, 255];
        out[place] = red; out[place + 1] = green; out[place + 2] = blue;
        out[place + 3] = edge ? firm : lit ? Math.min(255, soft + 90) : number ? Math.round(0.6 * soft) : soft;
      }
    }
    page.putImageData(drawn, 0, 0);
  }

  light(one) {
    if (JSON.stringify(one) === JSON.stringify(this.one)) return;
    this.one = one;
    this.paint();
  }
}

/** The boxes that a person wants to see: from the slider's score on, or from the model's own, one a class. */
export function visible(answer, kept, model) {
  const least = (box) => kept.least ?? model?.thresholds?.[box.class] ?? 0.25;
  return answer.boxes.map((box, index) => ({ ...box, index })).filter((box) => box.score >= least(box));
}

/** [["car", 3], ...], the commonest first. */
export function tally(boxes) {
  const counts = new Map();
  for (const { label } of boxes) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}

/** "3 car, 1 bus, 2 more" of such pairs. */
export const listed = (pairs, most = 3) => [...pairs.slice(0, most).map(([name, many]) => `${count(many)} ${name}`), ...(pairs.length > most ? [`${pairs.length - most} more`] : [])].join(", ");

export function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** A picture with its boxes and masks as PNG, at the size that the browser shows it in. */
export async function drawn(item, size, boxes, colours, canvas = null) {
  const image = new Image();
  image.src = item.url;
  await image.decode();
  const sheet = el("canvas", { width: image.naturalWidth, height: image.naturalHeight });
  const page = sheet.getContext("2d");
  page.drawImage(image, 0, 0);
  if (canvas) page.drawImage(canvas, 0, 0, sheet.width, sheet.height);
  const [across, down] = [sheet.width / size[1], sheet.height / size[0]];
  const least = Math.min(sheet.width, sheet.height), line = Math.max(2, least / 240), letters = Math.max(11, least / 34);
  page.font = `${letters}px system-ui, sans-serif`;
  page.textBaseline = "top";
  for (const { xyxy, label, score, class: kind } of boxes) {
    const [x1, y1, x2, y2] = [xyxy[0] * across, xyxy[1] * down, xyxy[2] * across, xyxy[3] * down];
    page.lineWidth = line;
    page.strokeStyle = colours[kind];
    page.strokeRect(x1, y1, x2 - x1, y2 - y1);
    if (boxes.length > 2 * MOST_NAMES) continue;
    const text = score === undefined ? label : `${label} ${percent(score, 0)}`;
    const wide = page.measureText(text).width + 0.5 * letters, top = y1 > 1.3 * letters ? y1 - 1.3 * letters : y1;
    page.fillStyle = colours[kind];
    page.fillRect(x1, top, wide, 1.3 * letters);
    page.fillStyle = inkOn(colours[kind]);
    page.fillText(text, x1 + 0.25 * letters, top + 0.15 * letters);
  }
  return new Promise((done) => sheet.toBlob(done, "image/png"));
}

/** Hand a file to the person. */
export function save(content, name) {
  const url = URL.createObjectURL(content instanceof Blob ? content : new Blob([content]));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** A small square in a class's colour. */
export function swatch(colour) {
  return el("i", { class: "swatch", "aria-hidden": "true", style: { background: colour } });
}

/** "leaf.jpg" -> "leaf", as the beginning of a file's name. */
export function stem(name) {
  return name.split("/").at(-1).replace(/\.[^.]*$/, "") || "picture";
}

function make(tag, properties) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
  return element;
}
