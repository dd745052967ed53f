// A picture that was found, beside the one that was searched for, in a dialog that leads from one to the next.
import { attempt, count, el, fill, say } from "../dom.js";
import { fileAt } from "./similar.js";

export class Found {
  /** take(file) searches for the picture that is shown; `address(view, row)`, `moved(index)` and `closed()` are set later. */
  constructor(verdicts, take) {
    Object.assign(this, { verdicts, take, index: 0, rows: [] });
    this.element = el("dialog", { class: "pair", "aria-label": "A picture that was found", onkeydown: (event) => this.keyed(event), onclose: () => this.end() });
  }

  show(rows, index, number, file) {
    Object.assign(this, { rows, number });
    this.url = URL.createObjectURL(file);
    this.file = file;
    this.draw(index);
    this.element.showModal();
  }

  draw(index) {
    this.index = index;
    const row = this.rows[index];
    const verdict = `${this.verdicts[row.verdict]}, ${row.score.toFixed(2)}`;
    const button = (text, action, off = false) => el("button", { type: "button", class: "button", disabled: off, onclick: action }, text);
    const focused = this.element.contains(document.activeElement) && document.activeElement.textContent;
    fill(
      this.element,
      el("div", { class: "two" }, figure(this.url, "Searched for", this.file.name), figure(this.address("large", row), verdict, row.file)),
      el("div", { class: "bar" }, button("Before", () => this.draw(this.index - 1), index === 0), button("Next", () => this.draw(this.index + 1), index + 1 >= this.rows.length), el("span", { class: "note number" }, `${count(index + 1)} of ${count(this.rows.length)}`), button("Search for this one", () => this.searchIt(row)), button("Close", () => this.element.close())),
    );
    [...this.element.querySelectorAll("button:not(:disabled)")].find((one) => one.textContent === focused)?.focus();
    this.moved?.(index);
    say(`${row.file}: ${verdict}`);
  }

  async searchIt(row) {
    const file = await attempt(() => fileAt(this.address("picture", row), row.file));
    if (!file) return;
    this.element.close();
    this.take(file);
  }

  keyed(event) {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!by || !this.rows[this.index + by]) return;
    event.preventDefault();
    this.draw(this.index + by);
  }

  end() {
    URL.revokeObjectURL(this.url);
    this.closed?.();
  }
}

function figure(src, head, name) {
  return el("figure", {}, el("img", { src, alt: name }), el("figcaption", {}, el("strong", {}, head), el("span", { class: "note" }, name)));
}
