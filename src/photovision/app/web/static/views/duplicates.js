// Duplicates: pictures that are there more than once, side by side; moved away by one click, and back by another.
import { api, attempt, count, el, fill, say } from "../dom.js";

const PAGE = 40; // groups shown at once
const EVERY = 300; // milliseconds

export class Duplicates {
  /** Draws itself into `root`; again() looks through the pictures again, whose index is not right any more after a move. */
  constructor(root, state, source, verdicts, again) {
    Object.assign(this, { root, state, source, verdicts, again, ended: false, many: PAGE, left: new Set() });
    this.far = el("div");
    this.moved = el("div", { role: "status" });
    this.found = el("div");
    this.go = el("button", { type: "button", class: "button primary", onclick: () => this.start() }, "Look for duplicates");
    fill(this.root, el("div", { class: "bar" }, this.go, el("p", { class: "note" }, "Every pair is compared pixel by pixel. Nothing is moved before you say so.")), this.far, this.moved, this.found);
    this.drawMoved();
  }

  leave() {
    this.ended = true;
    if (this.number && !this.groups) api("/api/duplicates/stop", { method: "POST", query: { number: this.number } }).catch(() => {});
  }

  async start() {
    const started = await attempt(() => api("/api/duplicates/start", { json: { source: this.source } }));
    if (!started) return;
    Object.assign(this, { number: started.job, groups: null, many: PAGE, left: new Set() });
    this.go.disabled = true;
    fill(this.found);
    await attempt(() => this.wait());
    this.go.disabled = false;
    fill(this.far);
    if (this.groups) this.draw();
  }

  async wait() {
    const bar = el("progress", { max: "1", "aria-label": "Comparing" }), words = el("p", { class: "note number" }, "Comparing …");
    fill(this.far, words, bar);
    while (!this.ended) {
      const { result, done, total } = await api("/api/duplicates/job", { query: { number: this.number } });
      if (result) {
        this.groups = result.groups;
        return;
      }
      if (total) {
        bar.value = done / total;
        words.textContent = `Comparing: ${count(done)} of ${count(total, "picture")} that may be there twice`;
      }
      await new Promise((next) => setTimeout(next, EVERY));
    }
  }

  /** [[group, member]] of all that would be moved. */
  get chosen() {
    return this.groups.flatMap(({ duplicates }, group) => duplicates.map((one, member) => [group, member, one]).filter(([, member, one]) => one.movable && !this.left.has(`${group},${member}`)).map(([, member]) => [group, member]));
  }

  draw() {
    const all = this.groups.flatMap(({ duplicates }) => duplicates);
    if (!all.length) return fill(this.found, el("p", { class: "verdict-words" }, "No picture is there more than once."));
    const kinds = Object.entries(this.verdicts).map(([verdict, words]) => [all.filter((one) => one.verdict === verdict).length, words]).filter(([many]) => many);
    const summary = `${count(all.length, "duplicate")} of ${count(this.groups.length, "picture")}: ${kinds.map(([many, words]) => `${count(many)} ${words}`).join(" · ")}`;
    this.button = el("button", { type: "button", class: "button", onclick: () => this.move() });
    this.list = el("ol", { class: "groups" });
    this.more = el("button", { type: "button", class: "button", onclick: () => ((this.many += PAGE), this.drawGroups()) }, "Show more");
    say(summary);
    fill(this.found, el("p", { class: "verdict-words" }, summary), el("p", { class: "note" }, "The largest of each group stays. Turned and cropped ones may be wanted, and are never moved."), el("div", { class: "bar" }, this.button), this.list, el("p", {}, this.more));
    this.drawGroups();
    return this.count();
  }

  drawGroups() {
    for (let place = this.list.children.length; place < Math.min(this.many, this.groups.length); place += 1) this.list.append(this.group(this.groups[place], place));
    this.more.hidden = this.many >= this.groups.length;
  }

  group({ kept, duplicates }, group) {
    const picture = (member, name, words, extra = null) => el("figure", {}, el("img", { src: `/api/duplicates/picture?${new URLSearchParams({ number: this.number, group, member })}`, alt: "", loading: "lazy", decoding: "async" }), el("figcaption", {}, el("strong", {}, words), el("span", { class: "note" }, name), extra));
    const tick = (member) => {
      const box = el("input", { type: "checkbox", checked: !this.left.has(`${group},${member}`), onchange: () => (this.left[box.checked ? "delete" : "add"](`${group},${member}`), this.count()) });
      return el("label", { class: "tick" }, box, " move");
    };
    return el("li", { class: "sheet" }, picture(-1, kept, "stays"), duplicates.map((one, member) => picture(member, one.file, this.verdicts[one.verdict], one.movable && tick(member))));
  }

  count() {
    const many = this.chosen.length;
    this.button.disabled = !many;
    this.button.textContent = many ? `Move ${count(many, "duplicate")} away` : "Nothing to move";
  }

  async move() {
    this.button.disabled = true;
    const found = await attempt(() => api("/api/duplicates/move", { json: { number: this.number, chosen: this.chosen } }));
    if (!found) return this.count();
    say(`${count(found.moved, "file")} moved to ${found.name}`);
    this.groups = null;
    fill(this.found);
    await this.after();
    return this.moved.querySelector("button")?.focus();
  }

  async back(name) {
    const found = await attempt(() => api("/api/duplicates/undo", { json: { name } }));
    if (!found) return;
    say(`${count(found.moved, "file")} moved back`);
    this.groups = null;
    fill(this.found);
    await this.after();
    this.go.focus();
  }

  async after() {
    await this.state.reload();
    await this.drawMoved();
  }

  /** Folders of moved files, each with the click that undoes it. */
  async drawMoved() {
    const known = await attempt(() => api("/api/duplicates/moved"));
    if (!known || this.ended) return;
    const row = ({ name, files }) => el("li", {}, `${count(files, "file")} moved to `, el("code", {}, `${this.state.overview.folder}/${name}`), " ", el("button", { type: "button", class: "button", onclick: () => this.back(name), "aria-label": `Move back what lies in ${name}` }, "Move back"), el("button", { type: "button", class: "quiet", onclick: () => this.again() }, "Bring the index up to date"));
    fill(this.moved, known.folders.length > 0 && el("ul", { class: "moved" }, known.folders.map(row)));
  }
}
