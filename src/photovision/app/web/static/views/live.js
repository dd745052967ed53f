// Live: a video of the folder, a camera of this computer or a stream, watched by a detector: lines and zones drawn on its
// first frame, the annotated frames as they come, counts and events beside them.
import { api, attempt, count, el, fill, percent, say, toast } from "../dom.js";
import { duration } from "./job.js";
import { median, save } from "./overlay.js";
import { Places } from "./places.js";
import { offerReady } from "./weights.js";

const MOST_EVENTS = 60; // of the list; the file has all
// The choice stays while other views are visited.
const kept = { kind: null, video: null, camera: "0", address: "", items: [], classes: [], least: null, quick: false };

export async function show(root, state) {
  const models = state.overview.models.filter(({ annotation_type: type, error }) => type === "boxes" && !error);
  if (!models.length) return nothing(root, state);
  const sources = await attempt(() => api("/api/live/sources"));
  if (!sources) return undefined;
  const view = new Live(root, state, models, sources);
  view.draw();
  return () => view.leave();
}

function nothing(root, state) {
  const place = el("div");
  fill(
    root,
    el("h1", {}, "Count what moves"),
    el("p", { class: "lead" }, "A detector follows objects through a video, and there is no detector here yet."),
    el("p", {}, el("a", { class: "button", href: "#/train" }, "Train one from pictures with boxes")),
    place,
  );
  offerReady(place, state, () => show(root, state));
}

class Live {
  constructor(root, state, models, sources) {
    Object.assign(this, { root, state, models, sources, number: null, events: [] });
    this.places = new Places(() => (kept.items = this.places.items));
    this.places.items = kept.items;
    this.ended = new AbortController();
  }

  draw() {
    const names = this.models.map(({ name }) => name);
    this.model = el("select", { onchange: () => this.modelChosen() }, this.models.map(({ name, ready }) => el("option", { value: name, selected: name === this.state.model }, ready ? `${name}, ready to use` : name)));
    if (names.includes(this.state.model)) this.model.value = this.state.model;
    kept.kind ??= this.sources.videos.length || !this.sources.cameras.length ? "file" : "camera";
    this.source = el("div", { class: "source" });
    this.hint = el("p", { class: "note live-hint" });
    this.kinds = el("div", { class: "choices", role: "group", "aria-label": "What is watched" });
    this.start = el("button", { type: "button", class: "button primary", onclick: () => this.go() }, "Watch");
    this.end = el("button", { type: "button", class: "button", hidden: true, onclick: () => this.stop() }, "Stop");
    this.frame = el("img", { class: "frame", alt: "", hidden: true });
    this.empty = el("p", { class: "note" }, "Choose what to watch.");
    this.stage = el("div", { class: "stage live-stage" }, this.empty, this.frame, this.places.over);
    this.state_ = el("p", { class: "note number live-state" });
    this.far = el("progress", { max: "1", value: "0", hidden: true, "aria-label": "How far the video is" });
    this.reason = el("p", { class: "warning", role: "alert", hidden: true });
    this.counts = el("div", { class: "counts" });
    this.log = el("div", { class: "event-log" });
    this.options = el("details", { class: "live-options" });
    fill(
      this.root,
      el("h1", {}, "Count what moves"),
      el("p", { class: "lead" }, "Objects are followed through a video, and counted where they cross a line or stay in a zone that you draw."),
      el("div", { class: "bar live-bar" }, el("label", { class: "field" }, "Detector", this.model), el("div", { class: "field" }, el("span", {}, "Source"), this.kinds), this.source, this.start, this.end),
      this.hint,
      this.reason,
      el("div", { class: "live-grid" }, el("div", { class: "live-left" }, this.stage, this.far, this.state_), el("div", { class: "live-right" }, this.counts, this.log, this.places.element, this.options)),
    );
    this.state.keys = { w: ["Watch, or stop", () => (this.number === null ? this.go() : this.stop())] };
    // The last frame, which is drawn on, stays until somebody wants to draw anew.
    for (const event of ["click", "focusin"]) this.places.element.addEventListener(event, () => this.frozen && this.look());
    this.drawKinds();
    this.modelChosen();
    this.places.drawList();
    this.places.draw();
    this.places.drawTools();
  }

  drawKinds() {
    const names = { file: "Video", camera: "Camera", address: "Address" };
    fill(this.kinds, Object.entries(names).map(([kind, text]) => el("button", { type: "button", "aria-pressed": String(kept.kind === kind), onclick: () => ((kept.kind = kind), this.drawKinds()) }, text)));
    this.drawSource();
  }

  drawSource() {
    const look = el("button", { type: "button", class: "button", onclick: () => this.look() }, "Show the first frame");
    this.start.disabled = false;
    fill(this.hint);
    if (kept.kind === "file") {
      const names = this.sources.videos.map(({ name }) => name);
      if (!names.includes(kept.video)) kept.video = names[0] ?? null;
      this.start.disabled = !names.length;
      if (!names.length) {
        fill(this.hint, "There is no video in the folder of this page: put one there and reload the page, or watch a camera or an address.");
        this.fail(null);
        this.clear();
        return fill(this.source);
      }
      const choose = el("select", { onchange: () => ((kept.video = choose.value), this.look()) }, names.map((name) => el("option", { value: name, selected: name === kept.video }, name)));
      fill(this.source, el("label", { class: "field" }, "File", choose));
      return this.look();
    }
    if (this.number === null) {
      this.fail(null);
      this.clear();
      this.empty.textContent = "Show the first frame to draw on it, or watch at once.";
    }
    if (kept.kind === "camera") {
      const { cameras } = this.sources;
      if (cameras.length && !cameras.includes(kept.camera)) kept.camera = cameras[0];
      const choose = cameras.length ? el("select", { onchange: () => (kept.camera = choose.value) }, cameras.map((one) => el("option", { value: one, selected: one === kept.camera }, `Camera ${one}`))) : el("input", { type: "number", min: "0", max: "99", value: kept.camera, oninput: () => (kept.camera = choose.value) });
      if (!cameras.length) fill(this.hint, "No camera was found on this computer. Where one is there all the same, 0 is the first.");
      return fill(this.source, el("label", { class: "field" }, cameras.length ? "Camera" : "Camera number", choose), look);
    }
    const box = el("input", { type: "text", class: "address", value: kept.address, spellcheck: "false", autocomplete: "off", placeholder: "rtsp://camera.local/stream", oninput: () => (kept.address = box.value) });
    fill(this.hint, "The address of a network camera or a stream: rtsp, http and others.");
    return fill(this.source, el("label", { class: "field" }, "Address", box), look);
  }

  modelChosen() {
    this.chosen = this.models.find(({ name }) => name === this.model.value) ?? this.models[0];
    this.state.model = this.chosen.name;
    kept.least = null;
    kept.classes = kept.classes.filter((name) => this.chosen.classes.includes(name));
    const own = median(this.chosen.thresholds ?? [0.4]);
    const output = el("output", { class: "number note" }, percent(own, 0));
    const slider = el("input", { type: "range", id: "live-least", min: "5", max: "95", value: String(Math.round(100 * own)), oninput: () => ((kept.least = slider.value / 100), (output.textContent = percent(kept.least, 0))) });
    const quick = el("input", { type: "checkbox", checked: kept.quick, onchange: () => (kept.quick = quick.checked) });
    const tick = (name) => {
      const box = el("input", { type: "checkbox", value: name, checked: kept.classes.includes(name), onchange: () => (kept.classes = box.checked ? [...kept.classes, name] : kept.classes.filter((one) => one !== name)) });
      return el("label", { class: "tick" }, box, ` ${name}`);
    };
    fill(
      this.options,
      el("summary", {}, "Options"),
      el("div", { class: "heat-slider" }, el("label", { for: "live-least" }, "Confidence"), slider, output),
      el("label", { class: "tick" }, quick, " As fast as this computer can, not at the video's own pace"),
      el("fieldset", {}, el("legend", {}, "Follow only these classes (none: all)"), el("div", { class: "class-ticks", tabindex: "0", role: "group", "aria-label": "Classes" }, this.chosen.classes.map(tick))),
    );
  }

  get wish() {
    return { kind: kept.kind, value: String(kept.kind === "file" ? kept.video : kept.kind === "camera" ? kept.camera : kept.address) };
  }

  fail(error) {
    this.reason.hidden = !error;
    this.reason.textContent = error ?? "";
  }

  /** The first frame, to draw on. */
  async look() {
    if (this.number !== null) return;
    const wish = this.wish;
    this.frozen = false;
    this.fail(null);
    this.clear();
    this.empty.textContent = "Opening …";
    try {
      const found = await api("/api/live/look", { json: wish, signal: this.ended.signal });
      if (this.number !== null || JSON.stringify(wish) !== JSON.stringify(this.wish)) return;
      if (found.error) throw new Error(found.error);
      this.picture(found.picture, found.size);
      const long = found.frames && found.rate ? `, ${duration(found.frames / found.rate)}` : "";
      this.state_.textContent = `${count(found.size[1])} × ${count(found.size[0])} pixels${found.rate ? `, ${+found.rate.toFixed(2)} frames a second` : ""}${long}`;
    } catch (error) {
      if (error.name === "AbortError") return;
      this.fail(error.message);
      this.empty.textContent = "There is nothing to see.";
    }
  }

  clear() {
    this.frame.removeAttribute("src");
    this.frame.hidden = true;
    this.empty.hidden = false;
    this.places.over.classList.add("away");
    this.state_.textContent = "";
  }

  picture(source, [height, width]) {
    this.stage.style.setProperty("--ratio", width / height);
    this.frame.src = source;
    this.frame.alt = "First frame";
    this.frame.hidden = false;
    this.empty.hidden = true;
    this.places.over.classList.remove("away");
  }

  async go() {
    if (this.start.disabled) return;
    this.fail(null);
    this.places.choose(null);
    const json = { source: this.wish, model: this.chosen.name, lines: this.places.of("line"), zones: this.places.of("zone"), classes: kept.classes, threshold: kept.least, quick: kept.quick };
    let started;
    try {
      this.start.disabled = true;
      started = await api("/api/live/start", { json });
    } catch (error) {
      return this.fail(error.message);
    } finally {
      this.start.disabled = false;
    }
    if (this.ended.signal.aborted) return undefined;
    this.number = started.number;
    Object.assign(this, { events: [], told: null });
    this.running(true);
    this.places.over.classList.add("away");
    this.empty.textContent = "Opening …";
    const query = new URLSearchParams({ number: started.number });
    this.frame.src = `/api/live/stream?${query}`;
    this.frame.alt = "What is seen now, with tracked objects";
    this.listener = new EventSource(`/api/live/events?${query}`);
    this.listener.addEventListener("told", (event) => this.hear(JSON.parse(event.data)));
    this.listener.addEventListener("end", (event) => (this.hear(JSON.parse(event.data)), this.over()));
    this.listener.addEventListener("error", () => this.over("The program behind this page does not answer any more."));
    say("Watching");
    return undefined;
  }

  running(on) {
    this.start.hidden = on;
    this.end.hidden = !on;
    this.root.classList.toggle("running", on);
    for (const control of [this.model, ...this.kinds.querySelectorAll("button"), ...this.source.querySelectorAll("select, input, button"), ...this.places.element.querySelectorAll("button, input"), ...this.options.querySelectorAll("input")]) control.disabled = on;
    (on ? this.end : this.start).focus({ preventScroll: true });
  }

  async stop() {
    if (this.number !== null) await attempt(() => api("/api/live/stop", { method: "POST", query: { number: this.number } }));
  }

  /** What the server tells a few times a second. */
  hear(told) {
    this.told = told;
    this.events.push(...told.events);
    if (told.size) {
      this.stage.style.setProperty("--ratio", told.size[1] / told.size[0]);
      this.frame.hidden = false;
      this.empty.hidden = true;
    }
    const known = told.frame !== undefined;
    const share = told.total ? told.frame / told.total : null;
    this.far.hidden = share === null || told.live;
    this.far.value = share ?? 0;
    const speed = told.speed ? `${told.speed.toFixed(1)} frames/s` : null;
    const odd = [["dropped", told.dropped], ["damaged", told.corrupt], ["opened again", told.reconnects]].filter(([, many]) => many).map(([word, many]) => `${count(many)} ${word}`);
    this.state_.textContent = known ? [told.ended ? "ended" : speed, `${count(told.frame)}${told.total && !told.live ? ` of ${count(told.total)}` : ""} frames`, duration(told.time), ...odd].filter(Boolean).join(" · ") : "Opening …";
    if (known) this.drawCounts(told);
    if (told.events.length || told.ended) this.drawLog();
  }

  drawCounts(told) {
    const cell = (value) => el("td", { class: "number" }, value ?? "–");
    const table = (title, heads, rows) => rows.length > 0 && el("div", { class: "table" }, el("table", {}, el("caption", { class: "unseen" }, title), el("thead", {}, el("tr", {}, heads.map((text, place) => el("th", { scope: "col", class: place ? "number" : null }, text)))), el("tbody", {}, rows.map(([name, ...values]) => el("tr", {}, el("th", { scope: "row" }, name), values.map(cell))))));
    const seconds = (value) => (value === null ? null : `${value.toFixed(1)}\u00a0s`);
    fill(
      this.counts,
      el("div", { class: "numbers" }, figure(count(told.objects), "in view"), figure(count(told.tracks), "followed so far")),
      table("Lines", ["Line", "to left", "to right"], Object.entries(told.lines).map(([name, one]) => [name, count(one.left), count(one.right)])),
      table("Zones", ["Zone", "inside", "entered", "mean stay"], Object.entries(told.zones).map(([name, one]) => [name, count(one.inside), count(one.entered), seconds(one.mean_dwell_s)])),
    );
  }

  drawLog() {
    const line = (event) => el("li", {}, el("time", { class: "number" }, clock(event.time)), ` ${event.label} ${event.track} `, el("span", { class: "soft" }, { cross: `crosses ${event.place} to the ${event.direction}`, enter: `enters ${event.place}`, leave: `leaves ${event.place}${event.dwell === undefined ? "" : ` after ${event.dwell.toFixed(1)} s`}` }[event.event]));
    if (!this.events.length) return fill(this.log);
    const file = () => save(new Blob([this.events.map((event) => `${JSON.stringify(event)}\n`).join("")], { type: "application/jsonl" }), "events.jsonl");
    const list = this.log.querySelector("ol") ?? el("ol", { class: "note", tabindex: "0", "aria-label": "Events, the latest first" });
    fill(list, this.events.slice(-MOST_EVENTS).reverse().map(line));
    if (!list.isConnected) fill(this.log, el("div", { class: "log-head" }, el("h2", {}, "Events"), el("button", { type: "button", class: "quiet", onclick: file }, "Save as JSON Lines")), list);
    return undefined;
  }

  /** It has ended, by itself or because somebody wanted it to. */
  over(reason = null) {
    this.listener?.close();
    if (this.number === null) return;
    this.number = null;
    const last = this.told;
    this.running(false);
    this.frozen = true;
    this.fail(last?.error ?? reason);
    if (this.frame.hidden) this.clear();
    if (last?.error || reason) return;
    for (const warning of last?.warnings ?? []) toast(warning, null, 10);
    say(`Ended after ${count(last?.frame ?? 0)} frames`);
  }

  leave() {
    this.ended.abort();
    this.listener?.close();
    if (this.number !== null) api("/api/live/stop", { method: "POST", query: { number: this.number } }).catch(() => {});
    this.frame.removeAttribute("src"); // ends the request
  }
}

function figure(value, words) {
  return el("p", {}, el("strong", { class: "number" }, value), ` ${words}`);
}

/** 75.3 -> "1:15.3". */
function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;
}
