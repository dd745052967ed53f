// The start: what the folder holds, each model and data set with a picture and what can be done with it.
import { api, attempt, count, el, fill, percent, say, spread } from "../dom.js";
import { addPictures } from "./adding.js";
import { follow } from "./job.js";
import { samplesOf, thumbnailOf } from "./samples.js";
import { fetchPanel, weights } from "./weights.js";

const HELD = { labels: "a class for each picture", boxes: "boxes", masks: "masks", defects: "good pictures and defects" };

export async function show(root, state) {
  const view = new Start(root, state);
  const jobs = await view.watch();
  return () => (jobs(), view.ended.abort());
}

class Start {
  constructor(root, state) {
    Object.assign(this, { root, state, ended: new AbortController() });
    this.fetching = el("section", { class: "fetching" });
    this.job = null;
  }

  /** Draws once it is known whether a job runs, so that nothing moves; what a job made is shown when it ends. */
  async watch() {
    this.job = await api("/api/training/job").catch(() => ({ state: null }));
    this.draw();
    if (this.job.state !== "running") return () => {};
    return follow((job) => {
      this.job = job;
      if (job.state !== "running") this.again();
    });
  }

  running() {
    const { kind, title } = this.job;
    const words = `${title[0].toUpperCase()}${title.slice(1)} is under way.`;
    return el("p", { class: "under-way" }, words, kind === "train" && [" ", el("a", { href: "#/train" }, "Look at it")]);
  }

  draw() {
    const { folder, models, data, skipped, takes_folders: open } = this.state.overview;
    const own = models.filter(({ ready }) => !ready), ready = models.filter((one) => one.ready);
    const empty = !own.length && !data.length;
    fill(
      this.root,
      el("h1", {}, empty ? "From pictures to a recogniser you can trust" : "What would you like to do?"),
      el("p", { class: "lead" }, summary(folder, own, data, ready)),
      this.job.state === "running" && this.running(),
      !own.length && this.steps(data),
      own.length > 0 && section("Models", own.map((model) => this.model(model))),
      data.length > 0 && section("Pictures to learn from", data.map((one) => this.data(one))),
      open && addPictures(this.state, (found) => this.again().then(() => this.focus(found.data[0]))),
      ready.length > 0 && section("Ready to use", ready.map((model) => this.model(model))),
      skipped?.length > 0 && this.skipped(skipped),
      this.fetching,
    );
    this.offerWeights();
  }

  /** What is not on this machine and can be fetched. */
  async offerWeights() {
    const missing = (await weights()).filter(({ ready, here }) => ready && !here);
    if (!missing.length || this.ended.signal.aborted) return;
    const row = (one) => el("details", {}, el("summary", {}, el("strong", {}, one.name), el("span", { class: "note" }, ` ${one.use} ${one.megabytes} MB, ${one.licence}`)), fetchPanel(one, () => this.again()));
    const [first, rest] = [missing.filter(({ featured }) => featured), missing.filter(({ featured }) => !featured)];
    const more = rest.length > 0 && el("details", {}, el("summary", {}, el("strong", {}, "Stronger detectors"), el("span", { class: "note" }, ` ${count(rest.length, "model")} for a GPU, or for patience`)), rest.map(row));
    fill(this.fetching, el("h2", { id: "to-fetch" }, "Can be fetched"), first.map(row), more);
  }

  async again() {
    await this.state.reload();
    if (!this.ended.signal.aborted) this.draw();
  }

  /** What was added is what one goes on with. */
  focus(name) {
    [...this.root.querySelectorAll(".card-row")].find((row) => row.dataset.name === name)?.querySelector("a")?.focus();
  }

  /** The way from a folder to a served model; the first step that is open is marked. */
  steps(data) {
    const all = [["Add pictures", "a folder for each class, or boxes or masks"], ["Train", "choose the minutes; the rest is found out"], ["Try it", "on pictures it has not seen, with its reasons"], ["Use it", "serve it, export it, hand on its report"]];
    const now = data.length ? 1 : 0;
    return el("ol", { class: "steps" }, all.map(([name, words], place) => el("li", { class: place < now ? "past" : place === now ? "now" : null, "aria-current": place === now ? "step" : null }, el("strong", {}, name), el("span", { class: "note" }, words))));
  }

  model(model) {
    const cover = el("span", { class: "cover" }, model.ready && el("img", { class: "sign", src: "icon.svg", alt: "" }));
    this.coverOf(model, cover);
    const task = this.state.overview.tasks[model.task];
    const lead = model.figure && el("p", { class: "headline" }, el("strong", { class: "number" }, shown(model.figure)), ` ${model.lead}`, el("span", { class: "rests-on" }, spread(model.figure)));
    const noun = task ? `${task.noun[0].toUpperCase()}${task.noun.slice(1)}` : "Model";
    const known = model.ready ? `everyday things, ${count(model.class_count, "class", "classes")}` : model.classes && classNames(model.classes);
    const words = [noun, known && `of ${known}`].filter(Boolean).join(" ");
    const go = (view, text, main = false) => link(`#/${view}?${new URLSearchParams({ model: model.name })}`, text, main ? "primary" : "");
    return el(
      "li",
      { class: "sheet card-row" },
      cover,
      el("div", { class: "card-words" }, el("h3", {}, model.name.replace(/^(\.\.\/)+/, "")), model.error ? el("p", { class: "reason" }, model.error) : el("p", { class: "note" }, words, model.beside && " · beside this folder"), lead),
      !model.error && el("div", { class: "card-ends" }, go("recognise", "Try it", true), !model.ready && go("model", "More")),
    );
  }

  async coverOf(model, cover) {
    if (model.error || model.ready) return;
    const offered = await samplesOf(model.name);
    if (offered.pictures.length) fill(cover, picture(thumbnailOf(offered.data, offered.pictures[0].i, offered.version)));
  }

  data(one) {
    const covers = el("span", { class: "covers" }), words = el("p", { class: "note" }, one.task ? `with ${HELD[one.annotation_type]}` : "no task learns from these");
    this.describe(one, covers, words);
    const query = new URLSearchParams({ data: one.name });
    return el("li", { class: "sheet card-row", dataset: { name: one.name } }, covers, el("div", { class: "card-words" }, el("h3", {}, one.name), words), el("div", { class: "card-ends" }, link(`#/train?${query}`, "Train", "primary"), link(`#/browse?${query}`, "Browse")));
  }

  async describe(one, covers, words) {
    const found = await api("/api/start/data", { query: { name: one.name }, signal: this.ended.signal }).catch((error) => ({ error }));
    if (found.error?.name === "AbortError") return;
    if (found.error) return fill(words, el("span", { class: "reason" }, found.error.message));
    const out = found.left_out ? `, ${count(found.left_out, "file")} left out` : "";
    const held = one.annotation_type === "labels" ? "in" : `with ${HELD[one.annotation_type] ?? "labels"}, of`;
    fill(words, `${count(found.pictures, "picture")} ${held} ${count(found.classes, "class", "classes")}${out}`);
    return fill(covers, found.covers.map((i) => picture(thumbnailOf(one.name, i, found.version))));
  }

  skipped(found) {
    const open = async (one) => {
      if (!(await attempt(() => api("/api/start/open", { json: { name: one.name } })))) return;
      await this.again();
      say(`${one.name} is shown`);
    };
    const row = (one) => el("li", {}, el("strong", {}, one.name), el("span", { class: "note" }, one.reason), one.can && el("button", { type: "button", class: "button", onclick: () => open(one), "aria-label": `${one.can}: ${one.name}` }, one.can));
    return el("section", { "aria-labelledby": "skipped" }, el("h2", { id: "skipped" }, "Also in this folder"), el("ul", { class: "skipped" }, found.map(row)));
  }
}

function summary(folder, own, data, ready) {
  if (!folder) return `This page was opened for ${count(own.length, "model")}, without a folder.`;
  if (!own.length && !data.length) return `${folder} holds neither a model nor pictures with labels yet.${ready.length ? " The ready models below can be tried at once." : ""}`;
  const found = [own.length && count(own.length, "model"), data.length && count(data.length, "data set")].filter(Boolean);
  return `${found.join(" and ")} found in ${folder}.`;
}

function section(title, rows) {
  const id = `part-${title.split(" ")[0].toLowerCase()}`;
  return el("section", { "aria-labelledby": id }, el("h2", { id }, title), el("ul", { class: "found-list" }, rows));
}

function link(href, text, kind = "") {
  return el("a", { class: `button ${kind}`, href }, text);
}

function picture(src) {
  return el("img", { src, alt: "", loading: "lazy", decoding: "async" });
}

/** ["a", "b", "c", "d"] -> "a, b and 2 more classes". */
function classNames(names) {
  if (names.length <= 3) return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
  return `${names.slice(0, 2).join(", ")} and ${names.length - 2} more classes`;
}

/** A metric as one large number: 79.0%, or 0.62. */
function shown({ value, unit }) {
  return unit === "share" || unit === "points" ? percent(value) : value.toFixed(2);
}
