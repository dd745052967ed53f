// A grid of any number of pictures, of which only those in view are in the document. It scrolls with the page and keeps
// its whole height. Rows come in pages from `load`, thumbnails a few at a time, and neither is asked for while the page
// is flying by.
import { count, el } from "../dom.js";

const PAGE = 200; // rows asked for at once
const GAP = 8;
const NARROWEST = 104; // pixels of a tile on a phone; wider where there is room
const CAPTION = 26;
const REST = 70; // milliseconds without scrolling before anything is asked for
const AT_ONCE = 6; // thumbnails under way, as many connections as browsers open
const AHEAD = 0.6; // screens above and below that are kept ready

/** Loads pictures a few at a time, the latest asked for first; those that left the document are called off. */
class Loader {
  constructor() {
    this.waiting = new Map();
    this.busy = new Set();
    this.requested = 0;
  }

  want(image, address) {
    if (image.getAttribute("src") !== address) this.waiting.set(image, address);
  }

  drop(image) {
    this.waiting.delete(image);
    if (!this.busy.delete(image)) return;
    image.removeAttribute("src"); // ends the request
    this.go();
  }

  go() {
    for (const [image, address] of this.waiting) {
      if (this.busy.size >= AT_ONCE) return;
      this.waiting.delete(image);
      this.busy.add(image);
      this.requested += 1;
      const end = (failed) => {
        if (!this.busy.delete(image)) return;
        image.classList.toggle("broken", failed);
        image.classList.add("there");
        this.go();
      };
      image.onload = () => {
        image.classList.toggle("pixels", Math.max(image.naturalWidth, image.naturalHeight) < 64);
        end(false);
      };
      image.onerror = () => end(true);
      image.src = address;
    }
  }
}

export class Grid {
  /**
   * load(start, count, signal) -> {total, rows}; address(row) -> of its thumbnail; caption(row) -> {text, kind, note};
   * open(index) opens a picture; key(event, index) -> whether the key did something; moved(index) tells the marked one.
   */
  constructor({ load, address, caption, open, key, moved }) {
    Object.assign(this, { load, address, caption, open, key, moved });
    this.loader = new Loader();
    this.pages = new Map();
    this.cells = new Map();
    this.total = 0;
    this.active = 0;
    this.columns = 1;
    this.asking = new Map();
    this.element = el("div", { class: "grid", role: "listbox", tabindex: "0", "aria-label": "Pictures", onkeydown: (event) => this.keyed(event), onclick: (event) => this.clicked(event) });
    this.onscroll = () => this.later();
    addEventListener("scroll", this.onscroll, { passive: true });
    this.sizes = new ResizeObserver(() => this.measure());
    this.sizes.observe(this.element);
  }

  close() {
    removeEventListener("scroll", this.onscroll);
    this.sizes.disconnect();
    clearTimeout(this.timer);
    cancelAnimationFrame(this.frame);
    this.forget();
  }

  forget() {
    for (const asked of this.asking.values()) asked.abort();
    this.asking.clear();
    this.pages.clear();
    for (const index of [...this.cells.keys()]) this.remove(index);
  }

  /** Ask anew, from the first row on; gives the number of rows. */
  async restart() {
    this.forget();
    this.active = 0;
    this.first = await this.page(0);
    this.measure();
    return this.total;
  }

  row(index) {
    return this.pages.get(Math.floor(index / PAGE))?.[index % PAGE] ?? null;
  }

  /** The row at an index, asked for where it is not here yet. */
  async reach(index) {
    await this.page(Math.floor(index / PAGE));
    return this.row(index);
  }

  /** Index of a picture among the rows that are here, or -1. */
  find(i) {
    for (const [number, rows] of this.pages) {
      const place = rows.findIndex((row) => row.i === i);
      if (place >= 0) return number * PAGE + place;
    }
    return -1;
  }

  async page(number) {
    if (this.pages.has(number)) return this.pages.get(number);
    if (this.asking.has(number)) return this.asking.get(number).rows;
    const asked = new AbortController();
    this.asking.set(number, asked);
    asked.rows = this.load(number * PAGE, PAGE, asked.signal)
      .then(({ total, rows }) => {
        if (asked.signal.aborted) return rows;
        this.total = total;
        this.pages.set(number, rows);
        this.draw();
        return rows;
      })
      .finally(() => this.asking.get(number) === asked && this.asking.delete(number));
    return asked.rows;
  }

  measure() {
    const width = this.element.clientWidth;
    if (!width) return;
    const least = width > 700 ? 148 : NARROWEST;
    this.columns = Math.max(1, Math.floor((width + GAP) / (least + GAP)));
    this.side = Math.floor((width - GAP * (this.columns - 1)) / this.columns);
    this.step = this.side + CAPTION + GAP;
    this.element.style.height = `${Math.ceil(this.total / this.columns) * this.step}px`;
    this.element.style.setProperty("--side", `${this.side}px`);
    for (const [index, cell] of this.cells) this.place(index, cell);
    this.draw();
  }

  later() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.draw();
    });
  }

  range() {
    const top = -this.element.getBoundingClientRect().top;
    const from = Math.floor((top - innerHeight * AHEAD) / this.step) * this.columns;
    const to = Math.ceil((top + innerHeight * (1 + AHEAD)) / this.step) * this.columns;
    return [Math.max(0, from), Math.min(this.total, to)];
  }

  draw() {
    if (!this.step) return;
    const [from, to] = this.range();
    for (const index of [...this.cells.keys()]) {
      if ((index < from || index >= to) && index !== this.active) this.remove(index);
    }
    const added = document.createDocumentFragment();
    for (let index = from; index < to; index += 1) this.show(index, added);
    if (this.total && !this.cells.has(this.active)) this.show(this.active, added);
    this.element.append(added);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(from, to), REST);
  }

  /** Asks for the rows and thumbnails in view, and calls off what is not in view any more. */
  ask(from, to) {
    const first = Math.floor(from / PAGE), last = Math.floor(Math.max(from, to - 1) / PAGE);
    for (const [number, asked] of this.asking) {
      if (number < first || number > last) {
        asked.abort();
        this.asking.delete(number);
      }
    }
    for (let number = first; number <= last && number * PAGE < this.total; number += 1) this.page(number).catch(() => {});
    for (const [index, cell] of this.cells) {
      const row = this.row(index);
      if (row && index >= from && index < to) this.loader.want(cell.image, this.address(row));
    }
    this.loader.go();
  }

  show(index, into) {
    let cell = this.cells.get(index);
    if (!cell) {
      const image = el("img", { alt: "", draggable: "false" });
      const text = el("span", { class: "what" });
      const badge = el("span", { class: "badge" });
      const option = el("div", { class: "tile", role: "option", id: `tile-${index}`, "aria-setsize": String(this.total), "aria-posinset": String(index + 1), dataset: { index } }, el("span", { class: "frame" }, image, badge), text);
      cell = { option, image, text, badge, row: null };
      this.cells.set(index, cell);
      this.place(index, cell);
      into.append(option);
    }
    const row = this.row(index);
    if (row && cell.row !== row) this.describe(index, cell, row);
    if (!row && !cell.row) cell.option.setAttribute("aria-label", `Picture ${count(index + 1)}`);
    cell.option.setAttribute("aria-selected", String(index === this.active));
  }

  describe(index, cell, row) {
    cell.row = row;
    const { text, kind, note } = this.caption(row);
    cell.text.textContent = text;
    cell.option.title = row.name;
    cell.option.className = `tile ${kind}`;
    cell.badge.textContent = note;
    cell.badge.hidden = !note;
    cell.option.setAttribute("aria-label", [row.name.split("/").at(-1), text, note].filter(Boolean).join(", "));
  }

  place(index, cell) {
    const line = Math.floor(index / this.columns);
    cell.option.style.transform = `translate(${(index % this.columns) * (this.side + GAP)}px, ${line * this.step}px)`;
  }

  remove(index) {
    const cell = this.cells.get(index);
    this.loader.drop(cell.image);
    cell.option.remove();
    this.cells.delete(index);
  }

  /** Draw all rows again that are in view. */
  redraw() {
    for (const index of this.cells.keys()) this.renew(index);
  }

  /** Draw a row again that has changed. */
  renew(index) {
    const cell = this.cells.get(index), row = this.row(index);
    if (cell && row) this.describe(index, cell, row);
  }

  /** Mark another picture and bring it into view. */
  mark(index, scroll = true) {
    if (!this.total) return;
    const before = this.active;
    this.active = Math.max(0, Math.min(this.total - 1, index));
    this.cells.get(before)?.option.setAttribute("aria-selected", "false");
    const fragment = document.createDocumentFragment();
    this.show(this.active, fragment);
    this.element.append(fragment);
    if (scroll) this.reveal();
    this.element.setAttribute("aria-activedescendant", `tile-${this.active}`);
    this.draw();
    this.moved?.(this.active);
  }

  reveal() {
    const top = this.element.getBoundingClientRect().top + Math.floor(this.active / this.columns) * this.step;
    const least = document.querySelector(".browse .sticky")?.getBoundingClientRect().height ?? 0;
    const most = innerHeight - (document.querySelector(".browse .keybar")?.getBoundingClientRect().height ?? 0);
    if (top < least + GAP) scrollBy(0, top - least - GAP);
    else if (top + this.step > most) scrollBy(0, top + this.step - most);
  }

  keyed(event) {
    const screen = Math.max(1, Math.floor(innerHeight / this.step) - 1) * this.columns;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.columns, ArrowUp: -this.columns, PageDown: screen, PageUp: -screen, Home: -this.total, End: this.total };
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (plain && event.key in steps) this.mark(this.active + steps[event.key]);
    else if (plain && (event.key === "Enter" || event.key === " ")) this.open(this.active);
    else if (!this.key(event, this.active)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  clicked(event) {
    const tile = event.target.closest(".tile");
    if (!tile) return;
    this.mark(Number(tile.dataset.index), false);
    this.element.focus({ preventScroll: true });
    this.open(this.active);
  }
}
