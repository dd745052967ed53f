// Search: a picture, or a part of it, is looked for among the pictures of a folder; duplicates are in duplicates.js.
import { api, attempt, count, el, fill, say, toast } from "../dom.js";
import { cropper } from "./crop.js";
import { Duplicates } from "./duplicates.js";
import { Grid } from "./grid.js";
import { drawStage, follow } from "./job.js";
import { Found } from "./result.js";

// The picture and what was found stay while other views are visited.
const kept = { source: null, file: null, part: null, found: null, only: "all", mode: "search" };

export async function show(root, state) {
  const known = await api("/api/search/sources");
  const view = new Search(root, state, known);
  view.draw();
  return () => view.leave();
}

class Search {
  constructor(root, state, { sources, verdicts }) {
    Object.assign(this, { root, state, sources, verdicts, ended: new AbortController() });
    this.panel = el("section", { class: "sheet indexing", "aria-label": "What is searched" });
    this.body = el("div");
    this.turn = 0;
  }

  draw() {
    if (!this.sources.length) return fill(this.root, el("h1", {}, "Search"), el("p", { class: "lead" }, "There are no pictures here to search. ", el("a", { href: "#/start" }, "Add some"), "."));
    const names = this.sources.map(({ name }) => name);
    const wanted = [this.state.params.get("data"), kept.source, this.sources.find(({ pictures }) => pictures)?.name];
    const source = wanted.find((name) => names.includes(name)) ?? names[0];
    if (source !== kept.source) Object.assign(kept, { source, found: null });
    if (this.state.params.get("mode")) kept.mode = this.state.params.get("mode");
    if (this.state.handed) Object.assign(kept, { file: this.state.handed.file, part: null, found: null, mode: "search" });
    this.state.handed = null;
    const choose = el("select", { onchange: () => this.choose(choose.value) }, this.sources.map(({ name, own }) => el("option", { value: name, selected: name === kept.source }, own ? `${name} (an index)` : name)));
    this.modes = el("div", { class: "choices", role: "group", "aria-label": "What to look for" });
    this.status = el("div", { class: "index-status" });
    fill(this.panel, el("label", { class: "field" }, "Pictures", choose), this.modes, this.status);
    fill(this.root, el("h1", {}, "Search"), el("p", { class: "lead" }, "Pictures that show the same as yours, or something like it; and those that are there more than once."), this.panel, this.body);
    this.listen();
    this.drawSource();
    this.stop = follow((job, ended) => this.job(job, ended));
    return undefined;
  }

  get source() {
    return this.sources.find(({ name }) => name === kept.source);
  }

  choose(name) {
    Object.assign(kept, { source: name, found: null });
    this.drawSource();
  }

  setMode(mode) {
    kept.mode = mode;
    this.drawSource();
    this.modes.querySelector("[aria-pressed=true]")?.focus();
  }

  drawSource() {
    const modes = { search: "Like a picture", duplicates: "Duplicates" };
    fill(this.modes, Object.entries(modes).map(([mode, text]) => el("button", { type: "button", "aria-pressed": String(mode === kept.mode), onclick: () => this.setMode(mode) }, text)));
    this.drawStatus();
    this.close();
    fill(this.body);
    this.state.keys = {};
    if (!this.source.pictures) return;
    if (kept.mode === "duplicates") this.duplicates = new Duplicates(this.body, this.state, kept.source, this.verdicts, () => this.index());
    else this.drawSearch();
  }

  /** How far the index is, and the button that makes it. */
  drawStatus() {
    const { pictures, error, left_out: out, model } = this.source, job = this.last;
    if (job?.kind === "index" && job.state === "running" && job.facts.source === kept.source) {
      const cancel = el("button", { type: "button", class: "button", onclick: () => attempt(() => api("/api/training/cancel", { method: "POST" })) }, "Cancel");
      return fill(this.status, drawStage(el("div", { class: "under-way" }), job), cancel);
    }
    const failed = job?.kind === "index" && job.state === "failed" && job.facts.source === kept.source && el("p", { class: "warning" }, job.error);
    const button = el("button", { type: "button", class: pictures ? "button" : "button primary", onclick: () => this.index() }, pictures ? "Look for new pictures" : "Index these pictures");
    const words = pictures ? `${count(pictures, "picture")} indexed by ${model}${out ? `, ${count(out, "file")} left out` : ""}.` : error ?? "These pictures are not indexed yet. Each is read once; the index holds no pictures, and lies in your cache.";
    return fill(this.status, failed, el("div", { class: "bar" }, el("p", { class: error ? "reason" : "note" }, words), button));
  }

  async index(measure = false) {
    if (!(await attempt(() => api("/api/search/index", { json: { source: kept.source, measure } })))) return;
    this.stop?.();
    this.stop = follow((job, ended) => this.job(job, ended));
  }

  async job(job, ended) {
    this.last = job;
    if (job.kind !== "index") return;
    if (ended && job.state === "done") {
      const known = await attempt(() => api("/api/search/sources"));
      if (!known || this.ended.signal.aborted) return;
      this.sources = known.sources;
      say(`${job.facts.source} is indexed`);
      kept.found = null;
      this.drawSource();
    } else this.drawStatus();
  }

  // A picture

  drawSearch() {
    const take = (event) => event.target.files.length && this.take(event.target.files[0]);
    const files = el("input", { type: "file", accept: "image/*,.tif,.tiff,.ppm,.pgm", hidden: true, "aria-label": "Picture to search for", onchange: take });
    this.pick = () => files.click();
    this.drop = el("section", { class: "drop", "aria-label": "Picture to search for" }, el("p", { class: "drop-words" }, el("strong", {}, "Drop a picture here"), el("span", { class: "note" }, "or paste it. It stays on this computer.")), el("div", { class: "drop-buttons" }, el("button", { type: "button", class: "button primary", title: "Choose a picture (o)", onclick: this.pick }, "Choose a picture")), files);
    this.asked = el("section", { class: "asked-for", "aria-label": "The picture that is searched for", hidden: true });
    this.results = el("section", { "aria-label": "What was found" });
    this.state.keys = { o: ["Choose a picture", this.pick] };
    fill(this.body, this.drop, this.asked, this.results);
    this.large = new Found(this.verdicts, (file) => this.take(file));
    this.body.append(this.large.element);
    if (kept.file) this.showFile();
    if (kept.found) this.drawResults();
    else if (kept.file) this.search();
  }

  listen() {
    const { signal } = this.ended;
    const take = (files) => kept.mode === "search" && this.source.pictures && files?.length && this.take(files[0]);
    addEventListener("dragover", (event) => event.preventDefault(), { signal });
    addEventListener("drop", (event) => (event.preventDefault(), take(event.dataTransfer.files)), { signal });
    addEventListener("paste", (event) => take(event.clipboardData?.files), { signal });
  }

  take(file) {
    Object.assign(kept, { file, part: null, found: null });
    this.showFile();
    this.search();
  }

  /** The picture, over which a part can be drawn. */
  showFile() {
    this.drop.classList.add("small");
    this.asked.hidden = false;
    this.crop?.leave();
    this.crop = cropper(kept.file, kept.part, (part) => {
      kept.part = part;
      this.search();
    });
    fill(this.asked, this.crop.element);
  }

  async search() {
    const mine = ++this.turn;
    fill(this.results, el("p", { class: "note" }, "Searching …"));
    const part = kept.part?.map((share) => share.toFixed(4)).join(",");
    const found = await attempt(() => api("/api/search/find", { query: { source: kept.source, part }, body: kept.file, signal: this.ended.signal }));
    if (mine !== this.turn || this.ended.signal.aborted) return;
    if (!found) return fill(this.results);
    kept.found = { ...found, results: found.results.map((one, i) => ({ ...one, i, name: one.file })) };
    kept.only = "all";
    this.drawResults();
    say(this.summary());
    return undefined;
  }

  summary() {
    const { results, verdicts } = kept.found;
    if (!results.length) return kept.part ? "There is nothing like this part." : "There is nothing like this picture.";
    const parts = Object.entries(this.verdicts).filter(([verdict]) => verdicts[verdict]).map(([verdict, words]) => `${count(verdicts[verdict])} ${words}`);
    return `${count(results.length, "picture")}: ${parts.join(" · ")}`;
  }

  drawResults() {
    const { results, gone, milliseconds } = kept.found;
    this.grid?.close();
    this.grid = null;
    const note = [`Searched in ${Math.round(milliseconds)} ms.`, gone && `${count(gone, "file")} of the index ${gone === 1 ? "is" : "are"} not there any more: look for new pictures.`].filter(Boolean).join(" ");
    const words = [el("p", { class: "verdict-words" }, this.summary()), el("p", { class: "note number" }, note)];
    if (!results.length) return fill(this.results, words, this.rates());
    this.filters = el("div", { class: "choices", role: "group", "aria-label": "Which of them" });
    this.grid = new Grid({
      load: async (start, many) => ({ total: this.shown.length, rows: this.shown.slice(start, start + many) }),
      address: (row) => this.address("thumbnail", row),
      caption: (row) => ({ text: row.file.split("/").at(-1), kind: "plain", note: `${this.verdicts[row.verdict]}, ${row.score.toFixed(2)}` }),
      open: (index) => this.large.show(this.shown, index, kept.found.number, kept.file),
      key: () => false,
    });
    this.large.closed = () => this.grid?.element.focus({ preventScroll: true });
    this.large.moved = (index) => this.grid?.mark(index);
    this.large.address = (view, row) => this.address(view, row);
    fill(this.results, words, this.filters, this.grid.element, this.rates());
    this.filter(kept.only);
    return undefined;
  }

  address(view, row) {
    return `/api/search/${view}?${new URLSearchParams({ number: kept.found.number, row: row.i })}`;
  }

  filter(only) {
    kept.only = only;
    const { results, verdicts } = kept.found;
    this.shown = results.filter(({ verdict }) => only === "all" || verdict === only);
    const focused = this.filters.contains(document.activeElement);
    const offered = [["all", "All", results.length], ...Object.entries(this.verdicts).filter(([verdict]) => verdicts[verdict]).map(([verdict, words]) => [verdict, words, verdicts[verdict]])];
    fill(this.filters, offered.map(([name, text, many]) => el("button", { type: "button", "aria-pressed": String(name === only), onclick: () => this.filter(name) }, `${text} `, el("span", { class: "number" }, count(many)))));
    if (focused) this.filters.querySelector("[aria-pressed=true]").focus();
    this.grid.restart().then(() => this.grid?.mark(0, false)).catch((error) => toast(error.message));
  }

  /** How far these words can be trusted, on demand. */
  rates() {
    const place = el("div");
    const load = async () => {
      if (!box.open || place.hasChildNodes()) return;
      const found = await attempt(() => api("/api/search/rates", { query: { source: kept.source } }));
      if (!found) return;
      if (!found.rows.length) return fill(place, el("p", { class: "note" }, "Not measured yet. Some of the pictures are edited and searched for, which takes a minute or more."), el("button", { type: "button", class: "button", onclick: () => this.index(true) }, "Measure"));
      return fill(place, el("p", { class: "note" }, "Measured on edits of some of these pictures, with 95% intervals."), el("dl", { class: "rates" }, found.rows.flatMap(([name, text]) => [el("dt", {}, name), el("dd", {}, text)])));
    };
    const box = el("details", { ontoggle: load }, el("summary", {}, "How often these verdicts are wrong"), place);
    return box;
  }

  close() {
    this.grid?.close();
    this.crop?.leave();
    this.duplicates?.leave();
    if (this.large?.element.open) this.large.element.close();
    this.grid = this.crop = this.duplicates = null;
  }

  leave() {
    this.ended.abort();
    this.stop?.();
    this.close();
  }
}
