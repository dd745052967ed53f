// A data set as a grid with filters, what should be looked at first; a picture opens large, and a key corrects its label.
import { api, attempt, count, el, fill, say, toast } from "../dom.js";
import { ClassKeys, COMMANDS, Decisions, labelOf } from "./deciding.js";
import { Grid } from "./grid.js";
import { drawStage, follow } from "./job.js";
import { Sessions } from "./sessions.js";
import { chooseClass } from "./typeahead.js";
import { Viewer } from "./viewer.js";

const EDITING = "Boxes and masks are shown here, not edited: correct them in Label Studio or CVAT, whose files ‘photovision convert’ writes and reads.";
const DECIDED = { label: "corrected", "leave out": "left out", right: "found right" };

export async function show(root, state) {
  const names = state.overview.data.map(({ name }) => name);
  if (!names.length) return fill(root, el("h1", {}, "Browse"), nothing(state)) && undefined;
  const name = names.includes(state.params.get("data")) ? state.params.get("data") : names[0];
  const view = new Browse(root, state, name, names);
  await view.start();
  return () => view.close();
}

function nothing(state) {
  if (!state.overview.folder) return el("p", { class: "lead" }, "This page was opened without a folder: start it with one, photovision ui FOLDER.");
  return el("p", { class: "lead" }, `No pictures with labels, boxes or masks were found in ${state.overview.folder}. `, el("a", { href: "#/start" }, "Add some, or see what else is there"), ".");
}

class Browse {
  constructor(root, state, name, names) {
    Object.assign(this, { root, state, name, names });
    const asked = Object.fromEntries(["split", "label", "kind", "text"].map((key) => [key, state.params.get(key) ?? ""]));
    this.wish = { ...asked, groups: {}, session: "", worst: true };
    this.total = el("p", { class: "note number", id: "total" });
    this.kinds = el("div", { class: "choices", role: "group", "aria-label": "Which pictures" });
    this.filters = el("div", { class: "filters" });
    this.examined = el("div", { class: "examined" });
    this.empty = el("p", { class: "lead", hidden: true }, "No picture fits these filters.");
    this.keybar = el("div", { class: "keybar" });
    this.undoing = el("div", { class: "undoing" });
  }

  async start() {
    this.summary = await api("/api/browse/summary", { query: { data: this.name } });
    this.editable = ["labels", "defects"].includes(this.summary.annotation_type);
    this.drawn = true;
    this.keys = new ClassKeys(this.name, this.summary.classes.map((one) => one.name));
    this.decisions = new Decisions(this.name, (i, decision) => this.decided(i, decision));
    const task = this.state.overview.tasks[this.state.overview.data.find(({ name }) => name === this.name)?.task];
    this.sessions = new Sessions(this.name, this.summary.version, { query: () => this.query(), shown: (one) => this.showSession(one), drawn: (changed) => (changed ? this.renew() : this.grid.redraw()) });
    this.sessions.element.hidden = !task?.options.includes("sessions_by");
    this.grid = new Grid({
      load: (start, many, signal) => this.load(start, many, signal),
      address: (row) => this.address("thumbnail", row),
      caption: (row) => this.caption(row),
      open: (index) => this.open(index),
      key: (event, index) => this.key(event, index),
      moved: () => this.drawKeys(),
    });
    this.viewer = new Viewer({
      data: this.name,
      state: this.state,
      at: (index) => this.grid.reach(index),
      large: (row) => this.address("large", row),
      layer: (row) => this.address("layer", row),
      editable: this.editable,
      classes: this.summary.classes.map(({ name }) => name),
      hidden: this.summary.hidden,
      colours: !this.summary.colours ? null : Object.fromEntries(this.summary.classes.map(({ name }, place) => [name, this.summary.colours[place]])),
      total: () => this.grid.total,
      key: (event, index) => this.key(event, index),
      controls: (row) => this.controls(row),
      moved: (index) => this.grid.mark(index),
      closed: () => this.grid.element.focus({ preventScroll: true }),
    });
    const grid = { g: ["To the grid", () => this.grid.element.focus()] };
    this.state.keys = this.editable ? { u: ["Undo the last decision", () => this.undo()], y: ["Redo it", () => this.redo()], ...grid } : { d: ["Boxes and masks on or off", () => this.showDrawn(!this.drawn)], ...grid };
    this.drawFrame();
    this.drawFilters();
    this.drawKinds();
    this.drawUndo();
    this.job({ state: null, kind: null }, false); // its place is taken before the grid comes
    await this.renew();
    this.stop = follow((job, ended) => this.job(job, ended));
  }

  close() {
    this.stop?.();
    this.viewer?.giveBack();
    if (this.viewer?.open) this.viewer.element.close();
    this.grid?.close();
  }

  drawFrame() {
    const links = (this.state.overview.skipped ?? []).filter(({ kind }) => kind === "link");
    const choose = el("select", { "aria-label": "Data set", onchange: (event) => this.choose(event.target.value, links) }, this.names.map((one) => el("option", { value: one, selected: one === this.name }, one)), links.map(({ name }) => el("option", { value: name }, `${name} (a link)`)));
    const train = el("a", { class: "button", href: `#/train?${new URLSearchParams({ data: this.name })}` }, "Train on these");
    const again = el("button", { type: "button", class: "quiet", onclick: () => this.reread() }, "Read again");
    fill(
      this.root,
      el("div", { class: "head" }, el("h1", {}, "Browse"), this.names.length + links.length > 1 ? choose : el("p", { class: "lead" }, this.name), again, train),
      this.examined,
      this.sessions.element,
      el("div", { class: "sticky" }, this.kinds, this.filters, el("div", { class: "line" }, this.total, this.undoing), this.sessions.bar),
      this.empty,
      !this.editable && el("p", { class: "note" }, EDITING),
      this.grid.element,
      this.keybar,
      this.viewer.element,
    );
  }

  /** Another data set; one behind a link is shown from now on, since somebody asked for it. */
  async choose(name, links) {
    if (links.some((one) => one.name === name)) {
      if (!(await attempt(() => api("/api/start/open", { json: { name } })))) return;
      await this.state.reload();
    }
    this.state.go("browse", { data: name });
  }

  // What is shown

  load(start, many, signal) {
    return api("/api/browse/pictures", { query: { ...this.query(), start, count: many }, signal });
  }

  /** The filters as the server takes them. */
  query() {
    const { groups, ...wish } = this.wish;
    const given = Object.fromEntries(Object.entries(wish).filter(([, value]) => value !== ""));
    return { ...given, groups: JSON.stringify(groups), data: this.name, as_of: this.asOf };
  }

  /** A picture opens, or is chosen where pictures are being chosen. */
  open(index) {
    const row = this.grid.row(index);
    if (!this.sessions.choosing) return this.viewer.show(index);
    if (row) this.sessions.toggle(row);
    return this.grid.renew(index);
  }

  showSession(one) {
    this.set({ session: one.key });
    this.shownSession = one.name;
    this.drawFilters();
  }

  address(what, row) {
    const drawn = what === "thumbnail" && !this.editable && this.drawn ? { drawn: 1 } : {};
    return `/api/browse/${what}?${new URLSearchParams({ data: this.name, i: row.i, v: this.summary.version, ...drawn })}`;
  }

  /** Boxes and masks on the small pictures, or the bare pictures. */
  showDrawn(drawn) {
    this.drawn = drawn;
    this.drawUndo();
    this.grid.draw();
    say(drawn ? "Boxes and masks are shown" : "Boxes and masks are hidden");
  }

  async renew() {
    this.asOf = (this.asOf ?? Date.now()) + 1;
    const total = await attempt(() => this.grid.restart());
    if (total === null) return;
    this.empty.hidden = total > 0;
    this.grid.element.hidden = total === 0;
    this.keybar.hidden = total === 0;
    this.total.textContent = total === this.summary.pictures ? count(total, "picture") : `${count(total)} of ${count(this.summary.pictures, "picture")}`;
    say(this.total.textContent);
    this.grid.mark(0, false);
  }

  async reread() {
    const summary = await attempt(() => api("/api/browse/summary", { query: { data: this.name, anew: true } }));
    if (!summary) return;
    this.summary = summary;
    this.sessions.version = summary.version;
    if (this.sessions.element.open) this.sessions.load();
    if (this.last) this.job(this.last, false);
    this.drawFilters();
    this.drawKinds();
    await this.renew();
  }

  caption(row) {
    const now = labelOf(row);
    const wanted = row.suggested && !row.decision ? `${row.suggested}? not ${row.label.join(", ")}` : null;
    const text = this.editable ? wanted ?? (now === null ? "left out" : now.join(", ") || "no class") : what(row);
    if (this.sessions.choosing) return { text, ...this.sessions.note(row) };
    const note = row.decision ? DECIDED[row.decision.decision] : row.marks.length ? this.summary.kinds[row.marks[0]] : "";
    return { text, note, kind: row.decision ? "decided" : row.marks.length ? "marked" : "" };
  }

  // Filters

  set(change) {
    Object.assign(this.wish, change);
    scrollTo(0, Math.min(scrollY, this.root.offsetTop + this.examined.offsetHeight));
    this.renew();
  }

  drawFilters() {
    const { classes, splits, groups } = this.summary;
    const select = (name, value, options, change) => el("label", { class: "field" }, name, el("select", { onchange: (event) => change(event.target.value) }, el("option", { value: "" }, "all"), options.map(([one, many]) => el("option", { value: one, selected: one === value }, `${one} (${count(many)})`))));
    const search = el("input", { type: "search", value: this.wish.text, placeholder: "part of the file's name", oninput: (event) => this.typed(event.target.value) });
    const more = Object.entries(groups).map(([name, values]) => select(name, this.wish.groups[name], Object.entries(values), (value) => {
      const { [name]: _, ...rest } = this.wish.groups;
      this.set({ groups: value ? { ...rest, [name]: value } : rest });
    }));
    const first = [
      el("label", { class: "field" }, "Name", search),
      select("Class", this.wish.label, classes.map((one) => [one.name, one.pictures]), (label) => this.set({ label })),
      this.wish.session && el("button", { type: "button", class: "button", onclick: () => (this.set({ session: "" }), this.drawFilters()) }, `${this.shownSession} ✕`),
      Object.keys(splits).length > 0 && select("Split", this.wish.split, Object.entries(splits), (split) => this.set({ split })),
    ];
    const narrow = matchMedia("(max-width: 46rem)").matches;
    const all = narrow ? [...first, ...more] : first;
    fill(this.filters, narrow ? el("details", {}, el("summary", {}, "Filters"), el("div", { class: "bar" }, all)) : el("div", { class: "bar" }, all, more.length > 0 && (more.length <= 2 ? more : el("details", {}, el("summary", {}, "More filters"), el("div", { class: "bar" }, more)))));
  }

  typed(text) {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.set({ text }), 250);
  }

  drawKinds() {
    const { examined, kinds, decisions, pictures } = this.summary;
    const offered = [["", "all", pictures]];
    if (examined.pictures) offered.push(["problems", "to look at", examined.pictures]);
    for (const [kind, many] of Object.entries(examined.kinds)) offered.push([kind, kinds[kind], many]);
    for (const [kind, text] of Object.entries(DECIDED)) if (decisions[kind] || this.wish.kind === kind) offered.push([kind, text, decisions[kind] ?? 0]);
    const button = ([kind, text, many]) => el("button", { type: "button", "aria-pressed": String(this.wish.kind === kind), onclick: () => (this.set({ kind }), this.drawKinds()) }, text, " ", el("span", { class: "number" }, count(many)));
    fill(this.kinds, offered.map(button));
    this.kinds.hidden = offered.length === 1;
  }

  // The check

  job(job, ended) {
    this.last = job;
    const mine = job.kind === "check" && job.facts.data === this.name;
    if (ended && mine && job.state === "done") this.reread();
    const { examined, left_out: out, problems } = this.summary;
    const busy = job.state === "running";
    const parts = [];
    if (mine && busy) {
      const stage = el("div", { class: "under-way" });
      drawStage(stage, job);
      parts.push(stage, el("button", { type: "button", class: "button", onclick: () => attempt(() => api("/api/training/cancel", { method: "POST" })) }, "Cancel"));
    } else {
      parts.push(el("p", { class: "note" }, this.verdict(examined), mine && job.state === "failed" ? ` The last check failed: ${job.error}` : ""));
      const run = (labels, text) => el("button", { type: "button", class: "button", disabled: busy, onclick: () => this.check(labels) }, text);
      parts.push(el("div", { class: "bar" }, run(false, examined.when ? "Look again" : "Look for problems"), this.editable && run(true, "Look for wrong labels, too (2 minutes)")));
    }
    if (out) parts.push(el("details", {}, el("summary", {}, `${count(out, "file")} of the data left out`), el("ul", { class: "note" }, problems.map((one) => el("li", {}, `${one.id}: ${one.message}`)))));
    fill(this.examined, parts);
  }

  verdict(examined) {
    if (!examined.when) return `Not checked yet: unreadable files, duplicates, ${this.editable ? "wrong labels" : "boxes outside their picture, without area, there twice or missing"}.`;
    const when = new Date(examined.when * 1000).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });
    const what = examined.pictures ? `${count(examined.pictures, "picture")} should be looked at; they come first.` : "Nothing to look at was found.";
    return `Checked ${when}${examined.labels ? ", labels too" : ""}. ${what}${examined.current ? "" : " The folder has changed since."}`;
  }

  async check(labels) {
    const job = await attempt(() => api("/api/training/check", { json: { data: this.name, labels } }));
    if (!job) return;
    this.stop?.();
    this.stop = follow((one, ended) => this.job(one, ended || (one.state !== "running" && one.began === job.began)));
  }

  // Decisions

  key(event, index) {
    if (!this.editable || this.sessions.choosing) return false;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") return event.shiftKey ? this.redo() : this.undo(), true;
    if (event.ctrlKey || event.metaKey || event.altKey || event.key.length !== 1) return false;
    if (event.key === "u") return this.undo(), true;
    if (event.key === "y") return this.redo(), true;
    const row = this.grid.row(index);
    if (!row) return false;
    const label = this.keys.of(event.key);
    if (label) this.label(row, index, label);
    else if (event.key === "k") this.decide(row, index, "right");
    else if (event.key === "x") this.decide(row, index, "leave out");
    else if (event.key === "s") row.suggested && this.label(row, index, row.suggested);
    else if (event.key === "/") this.other(row, index);
    else if (!this.keys.few && /^\p{L}$/u.test(event.key)) this.other(row, index, event.key);
    else return false;
    return true;
  }

  async other(row, index, start = "") {
    const label = await chooseClass(this.keys.classes, start);
    (this.viewer.open ? this.viewer.element : this.grid.element).focus({ preventScroll: true });
    if (label) this.label(row, index, label);
  }

  label(row, index, name) {
    this.keys.used(name);
    if (!this.summary.multilabel) return this.decide(row, index, name === row.label[0] ? "right" : "label", name === row.label[0] ? [] : [name]);
    const toggled = () => {
      const now = new Set(labelOf(row) ?? row.label);
      if (!now.delete(name)) now.add(name);
      return [...now].sort();
    };
    return this.decisions.next(async () => toggled()).then((label) => this.decide(row, index, "label", label, false));
  }

  async decide(row, index, decision, label = [], onward = true) {
    if (onward && this.viewer.open) this.viewer.go(1);
    else if (onward) this.grid.mark(index + 1);
    const saved = await this.decisions.decide(row, decision, label);
    this.drawUndo();
    if (!saved) return;
    const was = row.label.join(", ") || "no class";
    const what = decision === "label" ? `${was} → ${label.join(", ") || "no class"}` : `${was}: ${DECIDED[decision]}`;
    this.told?.();
    this.told = toast(what, { label: "Undo", action: () => this.undo() }, 4);
  }

  async undo() {
    this.back(await this.decisions.undo(), "Undone");
  }

  async redo() {
    this.back(await this.decisions.redo(), "Done again");
  }

  back(i, what) {
    this.drawUndo();
    if (i === null) return toast("There is nothing more in this tab's history.", null, 3);
    say(what);
    const index = this.grid.find(i);
    if (index < 0) return undefined;
    if (this.viewer.open) return this.viewer.show(index);
    return this.grid.mark(index);
  }

  /** A decision stands: saved by us, or found to be another one. */
  decided(i, decision) {
    const index = this.grid.find(i);
    const row = index < 0 ? null : this.grid.row(index);
    const counts = this.summary.decisions;
    if (row?.decision) counts[row.decision.decision] -= 1;
    if (row) row.decision = decision;
    if (decision) counts[decision.decision] = (counts[decision.decision] ?? 0) + 1;
    this.grid.renew(index);
    this.drawKinds();
    if (this.viewer.open && this.viewer.row?.i === i) this.viewer.draw();
  }

  drawUndo() {
    if (!this.editable) {
      const box = el("input", { type: "checkbox", checked: this.drawn, onchange: () => this.showDrawn(box.checked) });
      return fill(this.undoing, el("label", { class: "note tick", title: "Boxes and masks (d)" }, box, " Boxes and masks"));
    }
    const button = (text, key, able, act) => el("button", { type: "button", class: "quiet", disabled: !able, title: `${text} (${key})`, onclick: act }, text);
    return fill(this.undoing, button("Undo", "u", this.decisions.canUndo, () => this.undo()), button("Redo", "y", this.decisions.canRedo, () => this.redo()));
  }

  // The keys, shown

  controls(row) {
    if (!this.editable) return [el("p", { class: "note" }, EDITING)];
    const index = this.viewer.index;
    const chip = (key, text, act, pressed = false) => el("button", { type: "button", class: "chip", "aria-pressed": String(pressed), onclick: act }, el("kbd", {}, key), " ", text);
    const now = labelOf(row) ?? [];
    return [
      row.suggested && !row.decision && chip("s", `rather ${row.suggested}`, () => this.label(row, index, row.suggested)),
      chip("k", "is right", () => this.decide(row, index, "right"), row.decision?.decision === "right"),
      chip("x", "leave out", () => this.decide(row, index, "leave out"), row.decision?.decision === "leave out"),
      chip("/", "another class", () => this.other(row, index)),
      ...this.keys.pairs.map(([key, name]) => chip(key, name, () => this.label(row, index, name), now.includes(name))),
    ];
  }

  drawKeys() {
    if (!this.editable) return fill(this.keybar, el("span", {}, el("kbd", {}, "Enter"), " open"), el("span", {}, el("kbd", {}, "d"), " boxes and masks"));
    const hint = (key, text) => el("span", {}, el("kbd", {}, key), " ", text);
    const most = 12, pairs = this.keys.pairs;
    return fill(
      this.keybar,
      pairs.slice(0, most).map(([key, name]) => hint(key, name)),
      pairs.length > most && el("span", {}, "…"),
      Object.entries(COMMANDS).filter(([key]) => key !== "s" || this.summary.examined.kinds.suspect).map(([key, text]) => hint(key, text)),
      !this.keys.few && hint("a – z", "a class by its name"),
      hint("Enter", "open"),
    );
  }
}

/** "19 RBC, 1 WBC", or the classes of the pixels. */
function what(row) {
  if (!row.objects) return row.label.join(", ") || "nothing drawn";
  return Object.entries(row.objects).map(([name, many]) => `${count(many)} ${name}`).join(", ") || "no object";
}
