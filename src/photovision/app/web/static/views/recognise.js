// Recognise: pictures in by drop, paste, choice or camera; answers out, a list and one of them large.
import { api, attempt, count, el, fill, metric, say } from "../dom.js";
import { dropped } from "./adding.js";
import { openCamera } from "./camera.js";
import { answerFrame, kindOf } from "./kinds.js";
import { save } from "./overlay.js";
import { fetchSample, samplesOf, sampleStrip } from "./samples.js";
import { similarButton } from "./similar.js";
import { offerNaming } from "./naming.js";
import { offerReady } from "./weights.js";

const AT_ONCE = 2;
// Pictures stay while other views are visited; nothing of them outlives the page.
const kept = { items: [], selected: null, order: "given", only: "all", opacity: 0.6, least: null, names: null, model: null, next: 1 };

export async function show(root, state) {
  if (!state.overview.models.length) return nothing(root, state);
  const view = new View(root, state);
  view.draw();
  return () => view.leave();
}

function nothing(root, state) {
  const place = el("div");
  fill(
    root,
    el("h1", {}, "There is no model here yet"),
    el("p", { class: "lead" }, "A model is a folder that a training wrote. Train one from a folder of pictures, one folder a class, or with boxes or masks."),
    el("p", {}, el("a", { class: "button primary", href: "#/train" }, "Train a model")),
    el("p", { class: "note" }, "Or start with one that is ready to use:"),
    place,
  );
  offerReady(place, state, () => state.go("start"), ["imagenet", "yolov4-tiny"]);
}

class View {
  constructor(root, state) {
    this.root = root;
    this.state = state;
    this.rows = new Map(); // item -> its row
    this.busy = 0;
    this.ended = new AbortController();
    this.camera = null;
  }

  draw() {
    this.model = el("select", { id: "model", onchange: () => this.choose(this.model.value) });
    fill(this.model, this.state.overview.models.map((model) => el("option", { value: model.name, disabled: Boolean(model.error) }, called(model))));
    this.facts = el("p", { class: "note facts" });
    this.list = el("ul", { class: "rows", role: "listbox", tabindex: "0", "aria-label": "Pictures" });
    this.tools = el("div", { class: "bar tools-bar" });
    this.large = null;
    this.naming = el("div");
    this.offer = el("section", { class: "try", "aria-label": "Pictures to try", hidden: true });
    this.results = el("div", { class: "results" }, el("section", { class: "index", "aria-label": "All pictures" }, this.tools, this.list));
    fill(
      this.root,
      el(
        "div",
        { class: "heading" },
        el("div", {}, el("h1", {}, "What is in this picture?"), this.facts),
        el("label", { class: "field" }, "Model", this.model),
      ),
      this.entrance(),
      this.naming,
      this.offer,
      this.results,
    );
    this.listen();
    offerNaming(this.naming, async (name) => (await this.state.reload(), this.state.go("recognise", { model: name })));
    const asked = this.state.params.get("model");
    this.choose(this.state.overview.models.some(({ name }) => name === asked) ? asked : this.state.model);
    const given = this.state.handed;
    this.state.handed = null;
    if (given) this.add([given.file]);
  }

  /** The place where pictures come in; small once there are some. */
  entrance() {
    const take = (event) => {
      this.add([...event.target.files]);
      event.target.value = "";
    };
    const files = el("input", { type: "file", multiple: true, accept: "image/*,.tif,.tiff,.ppm,.pgm", hidden: true, onchange: take });
    const folder = el("input", { type: "file", webkitdirectory: true, multiple: true, hidden: true, onchange: take });
    const button = (text, key, action, main = false) =>
      el("button", { type: "button", class: main ? "button primary" : "button", title: `${text} (${key})`, onclick: action }, text);
    this.pick = () => files.click();
    this.photograph = () => this.openCamera();
    this.cameraPlace = el("div", { class: "camera-place" });
    this.another = el("button", { type: "button", class: "button another", hidden: true, title: "Try a picture of its data" }, "A test picture");
    this.similar = similarButton(this.state, () => kept.selected.file, "button");
    this.drop = el(
      "section",
      { class: "drop", "aria-label": "Bring in pictures" },
      el("p", { class: "drop-words" }, el("strong", {}, "Drop pictures here"), el("span", { class: "note" }, "or paste them. They stay on this computer.")),
      el("div", { class: "drop-buttons" }, button("Choose pictures", "o", this.pick, true), button("A folder", "f", () => folder.click()), button("Camera", "k", this.photograph), this.another, this.similar),
      files,
      folder,
    );
    this.state.keys = {
      o: ["Choose pictures", this.pick],
      f: ["Choose a folder", () => folder.click()],
      k: ["Use the camera", this.photograph],
      ArrowDown: ["Next picture", () => this.step(1)],
      ArrowUp: ["Picture before", () => this.step(-1)],
      s: ["Cut out an object of this picture", () => this.cut()],
      x: ["Remove this picture", () => this.remove(kept.selected)],
    };
    return el("div", {}, this.drop, this.cameraPlace);
  }

  listen() {
    const { signal } = this.ended;
    const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
    addEventListener("dragover", (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      this.drop.classList.add("over");
    }, { signal });
    addEventListener("dragleave", (event) => event.relatedTarget === null && this.drop.classList.remove("over"), { signal });
    addEventListener("drop", async (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      this.drop.classList.remove("over");
      this.add((await dropped(event.dataTransfer)).map(([, file]) => file));
    }, { signal });
    addEventListener("paste", (event) => event.clipboardData?.files.length && this.add([...event.clipboardData.files]), { signal });
    this.list.addEventListener("click", (event) => {
      const row = event.target.closest("li");
      if (row) this.select(kept.items.find((item) => this.rows.get(item) === row));
    });
  }

  choose(name) {
    const model = this.state.overview.models.find((one) => one.name === name) ?? this.state.overview.models[0];
    this.state.model = this.model.value = model.name;
    fill(this.facts, ...described(model, this.state.overview.tasks[model.task]));
    this.chosen = model;
    this.kind = kindOf(model);
    this.state.keys.h = [`${this.kind.over} on or off`, () => this.large.toggle()];
    this.large?.leave();
    this.large?.element.remove();
    this.large = this.kind.large(kept, this.state, () => this.refilter());
    this.results.append(this.large.element);
    if (!(kept.order in this.kind.orders)) kept.order = "given";
    if (!(kept.only in this.kind.filters)) kept.only = "all";
    this.drawTools();
    if (kept.model !== model.name) {
      kept.model = model.name;
      kept.least = null;
      for (const item of kept.items) Object.assign(item, { answer: null, error: null, asked: false, why: new Map() });
    }
    this.rows.clear();
    this.refresh();
    this.work();
    this.offerSamples(model);
  }

  /** Pictures of its data, so that a model can be tried at once. */
  async offerSamples(model) {
    fill(this.offer);
    this.another.hidden = true;
    const offered = model.error ? { pictures: [] } : await samplesOf(model.name);
    if (model !== this.chosen || this.ended.signal.aborted) return;
    this.offered = offered;
    this.offer.hidden = !offered.pictures.length || kept.items.length > 0;
    if (!offered.pictures.length) return;
    const taken = (sample) => attempt(async () => this.add([await fetchSample(offered, sample)]));
    let next = 0;
    this.another.hidden = false;
    this.another.onclick = () => taken(offered.pictures[next++ % offered.pictures.length]);
    fill(this.offer, el("h2", {}, "Or try one of these"), el("p", { class: "note" }, offered.note), sampleStrip(offered, 12, taken));
  }

  add(files) {
    const pictures = files.filter((file) => file.size > 0 || files.length === 1).filter((file) => !file.name.startsWith("."));
    const fresh = pictures.map((file) => ({ id: kept.next++, file, name: file.webkitRelativePath || file.name, truth: file.truth, url: URL.createObjectURL(file), answer: null, error: null, asked: false, why: new Map() }));
    kept.items.push(...fresh);
    if (fresh.length) kept.selected = kept.selected ?? fresh[0];
    if (fresh.length === 1) kept.selected = fresh[0];
    this.refresh();
    this.work();
  }

  /** The slider of confidence was moved: what is said of every picture changes. */
  refilter() {
    this.rows.clear();
    this.refresh();
  }

  remove(item) {
    if (!item) return;
    const shown = this.shown();
    const place = shown.indexOf(item);
    kept.items = kept.items.filter((one) => one !== item);
    URL.revokeObjectURL(item.url);
    kept.selected = shown[place + 1] ?? shown[place - 1] ?? kept.items[0] ?? null;
    this.refresh();
  }

  clear() {
    for (const item of kept.items) URL.revokeObjectURL(item.url);
    kept.items = [];
    kept.selected = null;
    this.refresh();
  }

  /** Ask for answers, a few pictures at a time, the selected one first. */
  work() {
    while (this.busy < AT_ONCE && !this.ended.signal.aborted) {
      const item = [kept.selected, ...kept.items].find((one) => one && !one.asked);
      if (!item) return;
      item.asked = true;
      this.busy++;
      this.ask(item).finally(() => {
        this.busy--;
        this.work();
      });
    }
  }

  async ask(item) {
    const model = kept.model;
    try {
      const answer = await api("/api/recognise/answer", { query: { model }, body: item.file, signal: this.ended.signal });
      if (model === kept.model) Object.assign(item, answer.error ? { error: answer.error } : { answer });
      convert(item);
    } catch (error) {
      if (error.name === "AbortError") item.asked = false; // the view was left; it is asked again on return
      else if (model === kept.model) item.error = error.message;
    }
    if (this.ended.signal.aborted || !kept.items.includes(item)) return;
    if (item === kept.selected) {
      this.large.show(item);
      say(item.error ?? `${item.name}: ${this.spoken(item)}`);
    }
    this.rows.get(item)?.replaceWith(this.row(item));
    clearTimeout(this.soon);
    // Thousands of rows are put in order anew only where an answer can move them.
    const moves = kept.only !== "all" || kept.order in this.kind.by;
    this.soon = setTimeout(() => (moves ? this.refresh() : this.countAll()), 150);
  }

  spoken(item) {
    return this.kind.spoken(item.answer, kept, this.chosen);
  }

  /** Which filter an item falls under; undefined while it waits for its answer. */
  sort(item) {
    return item.error ? "broken" : item.answer ? this.kind.kind(item, kept, this.chosen) : undefined;
  }

  shown() {
    const found = kept.items.filter((item) => kept.only === "all" || this.sort(item) === kept.only);
    const rule = { name: (item) => item.name, ...this.kind.by }[kept.order];
    const by = rule && ((item) => rule(item, kept, this.chosen));
    return by ? found.sort((a, b) => (by(a) < by(b) ? -1 : by(a) > by(b) ? 1 : 0)) : found;
  }

  refresh() {
    const many = kept.items.length;
    this.drop.classList.toggle("small", many > 0 || this.cameraPlace.hasChildNodes());
    this.results.hidden = many === 0;
    this.offer.hidden = many > 0 || !this.offered?.pictures.length;
    this.results.classList.toggle("single", many === 1);
    this.countAll();
    const shown = this.shown();
    fill(this.list, shown.map((item) => this.rows.get(item) ?? this.row(item)));
    this.select(kept.selected, false);
  }

  drawTools() {
    const choose = (name) => {
      kept.only = name;
      this.refresh();
    };
    const filters = Object.entries(this.kind.filters).map(([name, text]) => el("button", { type: "button", dataset: { only: name }, onclick: () => choose(name) }, `${text} `, el("span", { class: "number" })));
    const order = el("select", { onchange: () => ((kept.order = order.value), this.refresh()) }, Object.entries(this.kind.orders).map(([name, text]) => el("option", { value: name, selected: name === kept.order }, text)));
    fill(
      this.tools,
      el("div", { class: "choices", role: "group", "aria-label": "Show" }, filters),
      el("label", { class: "field" }, el("span", { class: "unseen" }, "Order"), order),
      el("button", { type: "button", class: "quiet", onclick: () => this.saveTable() }, "Save as CSV"),
      el("button", { type: "button", class: "quiet", onclick: () => this.clear() }, "Remove all"),
    );
  }

  countAll() {
    const counts = { all: kept.items.length };
    for (const item of kept.items) counts[this.sort(item)] = (counts[this.sort(item)] ?? 0) + 1;
    for (const button of this.tools.querySelectorAll("[data-only]")) {
      const { only } = button.dataset;
      button.hidden = !counts[only] && only !== kept.only && only !== "all";
      button.setAttribute("aria-pressed", String(only === kept.only));
      button.querySelector(".number").textContent = count(counts[only] ?? 0);
    }
  }

  row(item) {
    const { answer, error } = item;
    const words = error ? [el("span", { class: "reason" }, error.replace(/^the picture: /, ""))] : answer ? this.kind.brief(answer, kept, this.chosen) : [el("span", { class: "note" }, "…")];
    const row = el(
      "li",
      { role: "option", id: `picture-${item.id}`, "aria-selected": String(item === kept.selected), class: this.sort(item) ?? "waiting" },
      thumbnail(item),
      el("div", { class: "row-words" }, el("div", { class: "row-answer" }, words), el("div", { class: "note file" }, item.name)),
    );
    this.rows.set(item, row);
    return row;
  }

  select(item, moved = true) {
    for (const [one, row] of this.rows) row.setAttribute("aria-selected", String(one === item));
    kept.selected = item ?? null;
    this.similar.hidden = !item;
    const row = item && this.rows.get(item);
    if (row?.isConnected) this.list.setAttribute("aria-activedescendant", row.id);
    else this.list.removeAttribute("aria-activedescendant");
    if (moved && row) row.scrollIntoView({ block: "nearest" });
    this.large.show(kept.selected);
    if (moved && item?.answer) say(`${item.name}: ${this.spoken(item)}`);
  }

  step(by) {
    const shown = this.shown();
    if (!shown.length) return;
    const place = shown.indexOf(kept.selected);
    this.select(shown[Math.min(Math.max(place + by, 0), shown.length - 1)]);
  }

  saveTable() {
    const cell = (value) => `"${String(value ?? "").replace(/^[=+@-]/, "'$&").replaceAll('"', '""')}"`;
    const rows = this.shown().flatMap((item) => this.kind.lines(item, kept, this.chosen)).map((line) => line.map(cell).join(","));
    save(new Blob([[this.kind.columns.join(","), ...rows].join("\n") + "\n"], { type: "text/csv" }), "answers.csv");
  }

  cut() {
    this.state.handed = kept.selected;
    this.state.go("cutout");
  }

  async openCamera() {
    this.camera?.close();
    this.camera = await attempt(() => openCamera(this.cameraPlace, { answer: (frame, shown) => answerFrame(() => this.chosen, kept, frame, shown), keep: (file) => this.add([file]), closed: () => this.refresh() }));
    if (this.ended.signal.aborted) this.camera?.close();
    else this.refresh();
  }

  leave() {
    this.ended.abort();
    this.camera?.close();
    this.large.leave();
    clearTimeout(this.soon);
  }
}

/** A small picture; formats that the browser cannot show come from the server as JPEG, once they are known to be readable. */
function thumbnail(item) {
  const picture = el("img", { src: item.url, alt: "", loading: "lazy", decoding: "async", dataset: { item: item.id } });
  picture.addEventListener("load", () => picture.classList.remove("gone"));
  picture.addEventListener("error", () => {
    picture.classList.add("gone");
    item.foreign = true;
    convert(item);
  });
  return picture;
}

async function convert(item) {
  if (!item.foreign || !item.answer || item.converted) return;
  item.converted = true;
  const response = await fetch("/api/recognise/preview", { method: "POST", body: item.file });
  if (response.ok) item.url = URL.createObjectURL(await response.blob());
  for (const picture of document.querySelectorAll(`[data-item="${item.id}"]`)) picture.src = item.url;
}

/** What a model is called in a list: a ready one with what it knows. */
function called({ name, ready, class_count: many }) {
  return ready ? `${name}: ${count(many)} everyday things` : name;
}

function described(model, task) {
  if (model.error) return [el("span", { class: "reason" }, model.error)];
  const facts = [];
  if (model.ready) facts.push(`${task.noun[0].toUpperCase()}${task.noun.slice(1)} of everyday things, ready to use`);
  if (model.figure) facts.push(`${model.lead[0].toUpperCase()}${model.lead.slice(1)} ${metric(model.figure)}`);
  facts.push(count(model.class_count, "class", "classes"));
  if (model.pictures) facts.push(`learned from ${count(model.pictures, "picture")}`);
  const report = model.report && el("a", { class: "whole", href: `#/reports?${new URLSearchParams({ model: model.name })}` }, "Its report");
  const more = !model.ready && el("a", { class: "whole", href: `#/model?${new URLSearchParams({ model: model.name })}` }, "Evaluate, export, serve");
  const ends = [report, more].filter(Boolean).flatMap((one, place) => (place ? [" · ", one] : [one]));
  return [facts.join(" · "), ...(ends.length ? [el("span", { class: "ends" }, ends)] : []), ...(model.holding ? [el("span", { class: "holding" }, ` ${model.holding}`)] : [])];
}
