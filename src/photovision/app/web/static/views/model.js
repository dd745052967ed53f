// One model: what is known of it, and all that can be done with it: try, evaluate, audit, explain, shrink, export, serve.
import { api, attempt, count, el, fill, metric, say, toast } from "../dom.js";
import { duration, follow, stageWords } from "./job.js";
import { fetchSample, samplesOf, sampleStrip } from "./samples.js";
import { serving } from "./serving.js";

const TARGETS = { onnx: "ONNX", openvino: "OpenVINO", torchscript: "TorchScript", "exported-program": "PyTorch export", timm: "timm" };

export async function show(root, state) {
  const names = state.overview.models.filter(({ error }) => !error).map(({ name }) => name);
  const asked = state.params.get("model");
  const name = names.includes(asked) ? asked : names.includes(state.model) ? state.model : names[0];
  if (!name) return fill(root, el("h1", {}, "There is no model here yet"), el("p", {}, el("a", { class: "button primary", href: "#/train" }, "Train a model"))) && undefined;
  state.model = name;
  const found = await attempt(() => api("/api/acting/choices", { query: { model: name } }));
  if (!found) return undefined;
  const view = new Model(root, state, name, found);
  view.draw();
  return () => view.leave();
}

class Model {
  constructor(root, state, name, found) {
    Object.assign(this, { root, state, name, found });
    this.far = el("section", { class: "sheet acting", "aria-label": "What is being done", hidden: true });
    this.tries = el("div");
  }

  draw() {
    const { facts, verbs, data, writable } = this.found;
    const task = this.state.overview.tasks[facts.task];
    const words = [task && `${task.noun[0].toUpperCase()}${task.noun.slice(1)} of ${count(facts.classes.length, "class", "classes")}`, facts.figure && `${facts.lead} ${metric(facts.figure)}`, facts.pictures && `learned from ${count(facts.pictures, "picture")}`];
    const query = new URLSearchParams({ model: this.name });
    this.service = serving(this.name, this.state);
    this.buttons = [];
    fill(
      this.root,
      el("div", { class: "heading" }, el("div", {}, el("p", { class: "kind" }, "Model"), el("h1", {}, this.name), el("p", { class: "note facts" }, words.filter(Boolean).join(" · "))), el("div", { class: "bar" }, facts.report && link(`#/reports?${new URLSearchParams({ name: this.name })}`, "Read its report"), link(`#/recognise?${query}`, "Try it", "primary"))),
      facts.holding && el("p", { class: "note holding" }, facts.holding),
      this.far,
      el("h2", {}, "Put it to use"),
      el("div", { class: "deeds" }, this.service.element, verbs.includes("export") && writable && this.exporting(), verbs.includes("optimize") && writable && data.length > 0 && this.shrinking()),
      el("h2", {}, "Question it"),
      el("div", { class: "deeds" }, verbs.includes("evaluate") && this.judging("evaluate", "Evaluate", "All figures with intervals, on pictures that it has not learned from."), verbs.includes("audit") && this.judging("audit", "Audit", "Groups and conditions on which it fails, and why. About 3 minutes."), verbs.includes("explain") && this.explaining()),
      el("h2", {}, "Complete its card"),
      this.card(),
      this.tries,
    );
    this.offer();
    this.stop = follow((job, ended) => this.job(job, ended));
  }

  async offer() {
    const offered = await samplesOf(this.name);
    if (!offered.pictures.length) return;
    const go = (sample) => attempt(async () => {
      const file = await fetchSample(offered, sample);
      this.state.handed = { file, name: file.name };
      this.state.go("recognise", { model: this.name });
    });
    fill(this.tries, el("h2", {}, "Try it on one of these"), el("p", { class: "note" }, offered.note), el("div", { class: "try" }, sampleStrip(offered, 8, go)));
  }

  deed(title, words, control, button) {
    this.buttons.push(button);
    return el("section", { class: "sheet deed", "aria-label": title }, el("h3", {}, title), el("p", { class: "note" }, words), el("div", { class: "bar" }, control, button));
  }

  choice(text, options) {
    const select = el("select", {}, options.map(([value, shown]) => el("option", { value }, shown)));
    return [select, el("label", { class: "field" }, text, select)];
  }

  judging(verb, title, words) {
    const { data } = this.found;
    if (!data.length) return el("section", { class: "sheet deed", "aria-label": title }, el("h3", {}, title), el("p", { class: "note" }, words), el("p", { class: "note" }, "It needs pictures with labels of this kind in this folder."));
    const [select, field] = this.choice("Pictures", data.map((name) => [name, name]));
    return this.deed(title, words, field, this.button(title, () => this.start({ verb, data: select.value })));
  }

  explaining() {
    return this.deed("Explain", "What its predictions rest on, for six pictures of its data, and whether each heatmap passes its tests.", null, this.button("Explain", () => this.start({ verb: "explain" })));
  }

  exporting() {
    const [select, field] = this.choice("Format", this.found.targets.map((name) => [name, TARGETS[name] ?? name]));
    return this.deed("Export", "For another program, checked against this model before it is kept.", field, this.button("Export", () => this.start({ verb: "export", to: select.value, name: this.free(`${this.base}-${select.value}`) })));
  }

  shrinking() {
    const [select, field] = this.choice("Pictures", this.found.data.map((name) => [name, name]));
    return this.deed("Make it smaller", "In 8 bits, measured on these pictures; refused where it loses more than half a point.", field, this.button("Start", () => this.start({ verb: "optimize", data: select.value, name: this.free(`${this.base}-int8`) })));
  }

  /** What only the owner can say, in the model card. */
  card() {
    const { card, entries, facts } = this.found;
    const inputs = Object.fromEntries(Object.keys(entries).map((name) => [name, el("textarea", { rows: "2", maxlength: "2000", id: `card-${name}` }, card[name] ?? "")]));
    const row = ([name, meaning]) => el("label", { class: "field" }, el("span", {}, el("strong", {}, name[0].toUpperCase() + name.slice(1)), `: ${meaning}`), inputs[name]);
    const save = async (event) => {
      event.preventDefault();
      const given = Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.value.trim()]));
      const found = await attempt(() => api("/api/acting/card", { json: { model: this.name, ...given } }));
      if (found) toast(found.written ? "Saved in the model card" : "Saved beside the model card, which was edited by hand and stays as it is", null, 5);
    };
    const read = el("a", { class: "button", href: `#/reports?${new URLSearchParams({ name: this.name, file: "README.md" })}` }, "Read the card");
    return el("form", { class: "sheet card-form", onsubmit: save }, Object.entries(entries).map(row), el("div", { class: "bar" }, el("button", { class: "button primary", type: "submit" }, "Save"), facts.report && read));
  }

  get base() {
    return this.name.split("/").at(-1);
  }

  free(name) {
    const taken = new Set(this.state.overview.models.map((one) => one.name));
    for (let number = 1; ; number += 1) {
      const tried = number === 1 ? name : `${name}-${number}`;
      if (!taken.has(tried)) return tried;
    }
  }

  button(text, action) {
    return el("button", { type: "button", class: "button", onclick: action }, text);
  }

  async start(wish) {
    if (!(await attempt(() => api("/api/acting/start", { json: { model: this.name, ...wish } })))) return;
    this.stop?.();
    this.stop = follow((job, ended) => this.job(job, ended));
    this.far.scrollIntoView({ block: "nearest" });
  }

  job(job, ended) {
    const running = job.state === "running", mine = job.facts?.model === this.name || job.title?.endsWith(` of ${this.name}`);
    for (const button of this.buttons) button.disabled = running;
    this.far.hidden = !(mine && job.state && job.kind !== "train") && !running;
    if (this.far.hidden) return;
    const parts = [el("h2", {}, `${job.title[0].toUpperCase()}${job.title.slice(1)}: ${{ running: "under way", done: "done", failed: "failed", stopped: "stopped" }[job.state]}`)];
    if (running) {
      const last = job.log.at(-1)?.text;
      parts.push(el("p", { class: "note number" }, `${duration(job.now - job.began)} · ${job.stage ? stageWords(job).words : last ?? "loading the libraries …"}`), el("progress", { "aria-label": job.title }));
    }
    if (job.state === "failed") parts.push(el("p", { class: "warning" }, job.error));
    const ends = [running && this.button("Cancel", () => attempt(() => api("/api/training/cancel", { method: "POST" })))];
    if (job.state === "done" && job.facts.report) ends.push(link(`#/reports?${new URLSearchParams({ name: job.facts.report })}`, "Read the report", "primary"));
    if (job.state === "done" && job.kind === "optimize") ends.push(link(`#/model?${new URLSearchParams({ model: job.facts.model })}`, `Open ${job.facts.model}`, "primary"));
    if (job.state === "done" && job.kind === "export") parts.push(el("p", {}, "The files lie in ", el("code", {}, `${this.state.overview.folder}/${job.facts.folder}`), "."));
    fill(this.far, parts, el("div", { class: "bar" }, ends));
    if (ended) {
      say(`${job.title}: ${job.state}`);
      this.state.reload();
    }
  }

  leave() {
    this.stop?.();
    this.service.leave();
  }
}

function link(href, text, kind = "") {
  return el("a", { class: `button ${kind}`, href }, text);
}
