// A training: its form, which folds away while it runs; then how far it is, its curve, the steps it tried, and what came out.
import { api, attempt, el, fill, metric, percent, say } from "../dom.js";
import { curve } from "./curve.js";
import { duration, follow, stageWords } from "./job.js";
import { Networks } from "./networks.js";

const STATES = { running: "under way", done: "done", failed: "failed", stopped: "stopped" };
const CONDITIONS = { augmix: "mixtures of all (AugMix)" };

export async function show(root, state) {
  const view = new Train(root, state);
  await view.start();
  return () => view.stop?.();
}

class Train {
  constructor(root, state) {
    Object.assign(this, { root, state });
    this.form = el("form", { class: "sheet", onsubmit: (event) => (event.preventDefault(), this.begin()) });
    this.intro = el("p", { class: "lead" }, "Choose pictures and how long it may take. What they hold decides what the model can become.");
    this.parts = Object.fromEntries(["head", "far", "ends", "curves", "ladder", "log"].map((name) => [name, el("div", { class: name })]));
    const { head, far, ends, curves, ladder, log } = this.parts;
    const shown = el("div", { class: "job-grid" }, curves, el("div", {}, ladder, log));
    this.panel = el("section", { class: "job", "aria-label": "The training", hidden: true }, el("div", { class: "job-top" }, head, ends), far, shown);
    this.rungs = 0;
  }

  async start() {
    fill(this.root, el("h1", {}, "Train"), this.intro, this.form, this.panel);
    this.options = await api("/api/training/options");
    this.drawForm();
    this.watch();
  }

  watch() {
    this.stop?.();
    this.rungs = 0;
    this.stop = follow((job, ended) => this.job(job, ended));
  }

  drawForm() {
    const names = this.state.overview.data.map(({ name }) => name);
    if (!names.length) return fill(this.form, el("p", {}, "There are no pictures with labels, boxes or masks here to learn from. ", el("a", { href: "#/start" }, "Add some"), "."));
    const chosen = names.includes(this.state.params.get("data")) ? this.state.params.get("data") : names[0];
    this.data = el("select", { onchange: () => this.dataChanged() }, names.map((name) => el("option", { value: name, selected: name === chosen }, name)));
    this.name = el("input", { type: "text", required: true, maxlength: "100", spellcheck: "false", autocomplete: "off" });
    this.minutes = el("input", { type: "number", min: "0.1", max: "1440", step: "any", value: "5", required: true });
    this.commercial = el("input", { type: "checkbox" });
    this.fair = el("select", {}, el("option", { value: "" }, "(none)"));
    this.robust = this.options.robust.map((name) => el("input", { type: "checkbox", value: name }));
    this.networks = new Networks();
    this.replace = el("input", { type: "checkbox" });
    this.replacing = el("label", { class: "tick", hidden: true }, this.replace, " Replace the model of that name");
    this.learned = el("p", { class: "note" });
    this.task = el("select", { onchange: () => this.taskChanged() });
    this.tasks = el("div", { hidden: true }, field("What it becomes", this.task));
    this.more = el("details", {});
    this.go = el("button", { class: "button primary", type: "submit" }, "Start");
    const tick = (box, text) => el("label", { class: "tick" }, box, ` ${text}`);
    fill(
      this.form,
      el("div", { class: "bar" }, field("Pictures", this.data), field("Name of the model", this.name), this.tasks, field("Minutes", this.minutes), this.go),
      this.learned,
      this.replacing,
      this.more,
    );
    fill(
      this.more,
      el("summary", {}, "Options"),
      tick(this.commercial, "Only parts whose licence allows commercial use"),
      el("fieldset", { dataset: { option: "robust" } }, el("legend", {}, "Make it robust to"), this.robust.map((box) => tick(box, CONDITIONS[box.value] ?? box.value))),
      el("div", { dataset: { option: "fair_by" } }, field("Be fair across", this.fair)),
      this.networks.element,
    );
    this.dataChanged();
    return undefined;
  }

  async dataChanged() {
    const taken = new Set(this.state.overview.models.map(({ name }) => name));
    const base = `${this.data.value.split("/").at(-1)}-model`;
    let name = base;
    for (let number = 2; taken.has(name); number += 1) name = `${base}-${number}`;
    this.name.value = name;
    this.replacing.hidden = true;
    this.name.oninput = () => (this.replacing.hidden = !taken.has(this.name.value));
    const { tasks = [] } = this.state.overview.data.find(({ name }) => name === this.data.value) ?? {};
    fill(this.task, tasks.map((name) => el("option", { value: name }, this.state.overview.tasks[name].noun)));
    this.tasks.hidden = tasks.length < 2;
    await this.taskChanged();
  }

  async taskChanged() {
    const asked = this.data.value, chosen = this.task.value;
    const task = this.state.overview.tasks[chosen];
    this.learned.textContent = task ? `This becomes ${task.noun}: it predicts ${task.predicts}.` : "";
    for (const part of this.more.querySelectorAll("[data-option]")) part.hidden = !task?.options.includes(part.dataset.option);
    if (task?.options.includes("backbone")) this.networks.show(chosen);
    if (!task?.options.includes("fair_by")) return;
    const summary = await attempt(() => api("/api/browse/summary", { query: { data: asked } }));
    if (!summary || asked !== this.data.value || chosen !== this.task.value) return;
    fill(this.fair, el("option", { value: "" }, "(none)"), Object.keys(summary.groups).map((one) => el("option", { value: one }, one)));
  }

  async begin() {
    const wish = {
      data: this.data.value,
      task: this.task.selectedIndex > 0 ? this.task.value : null, // the first one is what the data teach
      name: this.name.value.trim(),
      minutes: Number(this.minutes.value),
      commercial: this.commercial.checked,
      robust: this.robust.filter((box) => box.checked && !box.closest("[hidden]")).map((box) => box.value),
      fair_by: (!this.fair.closest("[hidden]") && this.fair.value) || null,
      backbone: this.networks.value,
      replace: this.replace.checked,
    };
    if (await attempt(() => api("/api/training/start", { json: wish }))) this.watch();
  }

  async again() {
    if (await attempt(() => api("/api/training/again", { method: "POST" }))) this.watch();
  }

  job(job, ended) {
    this.panel.hidden = job.state === null;
    if (job.state === null) return;
    const running = job.state === "running";
    if (this.go) this.go.disabled = running;
    this.form.hidden = this.intro.hidden = running; // what is under way needs the place
    this.panel.setAttribute("aria-busy", String(running));
    this.head(job);
    this.far(job);
    this.ladder(job);
    this.curves(job);
    this.log(job);
    this.ends(job);
    if (job.rungs.length > this.rungs) say(`${job.rungs.at(-1).name}: ${percent(job.rungs.at(-1).val.value)}`);
    this.rungs = job.rungs.length;
    if (ended) {
      say(`${job.title}: ${STATES[job.state]}`);
      this.state.reload().then(() => (this.head(job), this.data && this.dataChanged()));
    }
  }

  head(job) {
    const seconds = (job.ended ?? job.now) - job.began;
    const time = job.ended || job.state === "running" ? `${duration(seconds)}${budget(job, seconds)}` : "";
    const made = job.kind === "train" && job.state === "done" && this.state.overview.models.find(({ name }) => name === job.facts.model);
    const figure = made?.figure && el("p", { class: "result" }, `${made.lead[0].toUpperCase()}${made.lead.slice(1)} `, el("strong", { class: "number" }, metric(made.figure)), " on test pictures");
    fill(this.parts.head, el("h2", {}, `${job.title[0].toUpperCase()}${job.title.slice(1)}: ${STATES[job.state]}`), el("p", { class: "note number" }, time), figure);
  }

  /** One bar for the time that was given, and in words what is being done. */
  far(job) {
    this.parts.far.hidden = job.state !== "running";
    if (job.state !== "running") return fill(this.parts.far);
    const { words, share } = stageWords(job);
    const timed = job.kind === "train" && job.facts.minutes;
    const whole = timed ? (job.now - job.began) / (60 * job.facts.minutes) : share;
    return fill(this.parts.far, el("progress", { max: "1", value: whole === null ? null : String(Math.min(1, whole)), "aria-label": timed ? "Time used" : "How far it is" }), el("p", { class: "note number" }, words));
  }

  ladder(job) {
    const told = new Set(job.rungs.map(({ name }) => name));
    const live = Object.entries(job.curves).filter(([name]) => !told.has(name) && job.state === "running");
    if (!job.rungs.length && !live.length) return fill(this.parts.ladder);
    const title = job.state === "running" ? "Tried so far, on validation pictures" : "What was tried, on validation pictures";
    const best = Math.max(...job.rungs.map((rung) => rung.val.value));
    const rows = job.rungs.map((rung) => this.rung(rung, rung.val.value === best));
    const under = live.map(([name, { val }]) => el("div", { class: "rung live" }, el("strong", {}, name), bar(val.length ? { value: val.at(-1)[1], low: null, high: null } : null), el("span", { class: "number" }, val.length ? `${percent(val.at(-1)[1])} so far` : "learning …")));
    return fill(this.parts.ladder, el("h3", {}, title), rows, under);
  }

  rung(rung, best) {
    return el("div", { class: `rung${best ? " best" : ""}`, title: rung.note }, el("strong", {}, rung.name), bar(rung.val), el("span", { class: "number" }, metric(rung.val)), el("span", { class: "note number" }, duration(rung.seconds)));
  }

  curves(job) {
    const [name, found] = Object.entries(job.curves).at(-1) ?? [];
    if (!name) return fill(this.parts.curves, job.state === "running" && el("p", { class: "note waiting-curve" }, "The curve comes with the first epoch of a network."));
    const lead = this.state.overview.tasks[job.facts.task]?.lead ?? "Score";
    const judged = `${lead[0].toUpperCase()}${lead.slice(1)} on validation`;
    const figure = (title, svg) => el("figure", {}, el("figcaption", { class: "note" }, `${title}, ${name}`), svg);
    return fill(
      this.parts.curves,
      figure("Loss", curve({ title: "Loss", points: found.loss, shown: (value) => value.toFixed(2), low: 0 })),
      figure(judged, curve({ title: judged, points: found.val, shown: (value) => percent(value, 0), low: 0, high: 1 })),
    );
  }

  log(job) {
    if (!job.log.length) return fill(this.parts.log);
    const open = this.parts.log.querySelector("details")?.open ?? job.state === "running";
    const time = (seconds) => (seconds ? new Date(seconds * 1000).toLocaleTimeString("en", { hour12: false }) : "");
    const lines = job.log.map((line) => el("li", {}, el("time", { class: "number" }, time(line.time)), ` ${line.text}`)).reverse();
    return fill(this.parts.log, el("details", { open }, el("summary", {}, "Log, the latest first"), el("ol", { class: "note", tabindex: "0", "aria-label": "Log" }, lines)));
  }

  ends(job) {
    const post = (what) => () => attempt(() => api(`/api/training/${what}`, { method: "POST" }));
    const parts = [];
    if (job.state === "running") parts.push(el("button", { type: "button", class: "button", onclick: post("cancel") }, "Cancel"));
    if (job.state === "failed") parts.push(el("p", { class: "warning" }, job.error));
    if (job.state === "stopped" || job.state === "failed") parts.push(el("button", { type: "button", class: "button", onclick: () => this.again() }, job.kind === "train" ? "Resume" : "Again"));
    if (job.state === "done" && job.kind === "train") {
      const name = job.facts.model;
      parts.push(link(`#/reports?${new URLSearchParams({ name })}`, "Read the report", "primary"), link(`#/recognise?${new URLSearchParams({ model: name })}`, "Try it on pictures"), link(`#/model?${new URLSearchParams({ model: name })}`, "Evaluate, export, serve"));
    }
    if (job.state === "done" && job.facts.report) parts.push(link(`#/reports?${new URLSearchParams({ name: job.facts.report })}`, "Read the report", "primary"));
    if (job.state === "done" && job.kind === "check") parts.push(link(`#/browse?${new URLSearchParams({ data: job.facts.data })}`, "See what was found", "primary"));
    const key = JSON.stringify([job.state, job.began, job.error]);
    if (this.endsKey === key) return; // a button that is about to be pressed stays where it is
    this.endsKey = key;
    fill(this.parts.ends, el("div", { class: "bar" }, parts));
  }
}

/** How the time stands to what was asked for, in words. */
function budget(job, seconds) {
  const asked = (job.facts.minutes ?? 0) * 60;
  if (job.kind !== "train" || job.state !== "running" || !asked) return "";
  return seconds < asked ? ` of ${duration(asked)}` : `, ${duration(seconds - asked)} more than the ${duration(asked)} asked for: what was begun is being completed`;
}

function field(text, control) {
  return el("label", { class: "field" }, text, control);
}

function link(href, text, kind = "") {
  return el("a", { class: `button ${kind}`, href }, text);
}

/** A share with its interval on a line from 0 to 100%. */
function bar(value) {
  const place = (share) => `${(100 * share).toFixed(2)}%`;
  if (!value) return el("span", { class: "share", "aria-hidden": "true" });
  const spread = value.low === null ? null : el("i", { class: "spread", style: { left: place(value.low), width: place(value.high - value.low) } });
  return el("span", { class: "share", "aria-hidden": "true" }, spread, el("i", { class: "dot", style: { left: place(value.value) } }));
}
