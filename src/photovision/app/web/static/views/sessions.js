// Capture sessions: those that were found, and what a person corrects of them by a click: joined, split, taken apart.
// In the grid pictures can be chosen, so that "these belong together" is one click, too. Every change can be undone.
import { api, attempt, count, el, fill, say, toast } from "../dom.js";
import { thumbnailOf } from "./samples.js";

export class Sessions {
  /** query() -> the filters of the grid; shown(key) shows one session in it; drawn() draws its tiles again. */
  constructor(data, version, { query, shown, drawn }) {
    Object.assign(this, { data, version, query, shown, drawn });
    this.chosen = new Set(); // positions of pictures
    this.marked = new Set(); // keys of sessions
    this.choosing = false;
    this.element = el("details", { class: "sessions" });
    this.bar = el("div", { class: "bar choosing", role: "group", "aria-label": "Chosen pictures", hidden: true });
    this.element.addEventListener("toggle", () => this.element.open && this.load());
    this.draw();
  }

  async load() {
    const found = await attempt(() => api("/api/browse/sessions", { query: { data: this.data } }));
    if (!found) return;
    this.found = found;
    this.marked = new Set([...this.marked].filter((key) => found.sessions.some((one) => one.key === key)));
    this.draw();
  }

  draw() {
    const summary = el("summary", {}, "Capture sessions");
    if (!this.found) return fill(this.element, summary);
    const { sessions, count: many } = this.found;
    const more = many > sessions.length && el("p", { class: "note" }, `The ${count(sessions.length)} largest of ${count(many)} are shown.`);
    fill(this.element, summary, el("p", { class: "note" }, this.words()), more, sessions.length > 0 && el("ul", { class: "session-list" }, sessions.map((one) => this.card(one))), this.acts());
    return undefined;
  }

  words() {
    const { checked, by, count: many, alone, file, sessions } = this.found;
    const why = "Pictures of one session look alike, so validation and test hold whole ones.";
    if (!many) return `${checked ? "None were found by capture time and camera." : "They are found by capture time and camera when you look for problems."} If you know which pictures were taken in one go, choose them below and say so. ${why}`;
    const how = sessions.some((one) => one.by_hand) ? `${by ? `, found by ${by} and` : ","} corrected by hand` : by ? `, found by ${by}` : "";
    const left = alone ? `; ${count(alone, "picture")} belong${alone === 1 ? "s" : ""} to none` : "";
    return `${count(many, "session")}${how}${left}. ${why} What you change is kept in ${file} beside the pictures.`;
  }

  card(one) {
    const box = el("input", { type: "checkbox", checked: this.marked.has(one.key), "aria-label": `Choose ${one.name}`, onchange: () => (box.checked ? this.marked.add(one.key) : this.marked.delete(one.key), this.drawActs()) });
    const pictures = one.covers.map((i) => el("img", { src: thumbnailOf(this.data, i, this.version), alt: "", width: "38", height: "38", loading: "lazy", decoding: "async" }));
    const names = Object.keys(one.classes).join(", ");
    return el(
      "li",
      { class: one.by_hand ? "by-hand" : null },
      el("label", {}, box, el("span", { class: "few" }, pictures), el("span", { class: "words" }, el("strong", {}, one.name), el("span", { class: "note" }, [count(one.pictures, "picture"), names].filter(Boolean).join(" · ")))),
      el("button", { type: "button", class: "quiet", "aria-label": `Show ${one.name}`, onclick: () => this.shown(one) }, "Show"),
    );
  }

  acts() {
    this.place = el("div", { class: "bar" });
    this.drawActs();
    return this.place;
  }

  drawActs() {
    const many = this.marked.size, sessions = () => [...this.marked];
    const button = (text, able, act) => el("button", { type: "button", class: "button", disabled: !able, onclick: act }, text);
    fill(
      this.place,
      this.found.sessions.length > 0 && [
        button("Join them", many > 1, () => this.change({ into: "one", sessions: sessions() })),
        button("Take apart", many > 0, () => this.change({ into: "none", sessions: sessions() })),
        button("As found", this.found.sessions.some(({ key, by_hand: own }) => own && this.marked.has(key)), () => this.change({ into: "found", sessions: sessions() })),
      ],
      button(this.choosing ? "Stop choosing pictures" : "Choose pictures", true, () => this.choose(!this.choosing)),
    );
  }

  // Pictures that are chosen in the grid

  choose(on) {
    this.choosing = on;
    this.chosen.clear();
    this.drawActs();
    this.drawBar();
    this.drawn();
    if (on) say("Choose pictures in the grid: they are not opened now");
  }

  toggle(row) {
    if (!this.chosen.delete(row.i)) this.chosen.add(row.i);
    this.drawBar();
  }

  /** What stands on a tile while pictures are chosen. */
  note(row) {
    return { note: this.chosen.has(row.i) ? `✓ ${row.session ?? "chosen"}` : row.session ?? "", kind: this.chosen.has(row.i) ? "decided" : "plain" };
  }

  drawBar() {
    this.bar.hidden = !this.choosing;
    const many = this.chosen.size, pictures = () => [...this.chosen];
    const button = (text, able, act) => el("button", { type: "button", class: "button", disabled: !able, onclick: act }, text);
    fill(
      this.bar,
      el("span", { class: "number" }, many ? `${count(many, "picture")} chosen` : "Click pictures that belong together"),
      ...(many === 0 ? [] : [
        button("These belong together", many > 1, () => this.change({ into: "one", pictures: pictures() })),
        button("Each by itself", true, () => this.change({ into: "none", pictures: pictures() })),
        button("As found", true, () => this.change({ into: "found", pictures: pictures() })),
      ]),
      !many && button("All that are shown belong together", true, () => this.change({ into: "one", shown: this.query() })),
      el("button", { type: "button", class: "quiet", onclick: () => this.choose(false) }, "Done"),
    );
  }

  async change(wish, undone = false) {
    const done = await attempt(() => api("/api/browse/sessions", { json: { data: this.data, version: this.version, ...wish } }));
    if (!done) return;
    this.chosen.clear();
    this.marked.clear();
    await this.load();
    this.drawBar();
    this.drawn(true);
    const what = undone ? "Undone" : { one: `${count(done.changed, "picture")} are one session now`, none: `${count(done.changed, "picture")} taken out of sessions`, found: "As found again" }[wish.into];
    if (undone) return void toast(what, null, 3);
    toast(what, { label: "Undo", action: () => this.undo(done.before) }, 8);
  }

  async undo(before) {
    for (const wish of before) await this.change(wish, true);
  }
}
