// Compare: two models on one data set or on dropped pictures; the pictures that they call by different names.
import { api, attempt, count, el, fill, metric, percent, say } from "../dom.js";
import { kindOf, overlay } from "./kinds.js";
import { Boxes, Layer, makeStage } from "./overlay.js";
import { fileAt, similarButton } from "./similar.js";

const DROPPED = "";
const PAGE = 60;
const SHOW = { all: "All", a: "Only A right", b: "Only B right", neither: "Both wrong" };
// The choice and the last result stay while other views are visited.
const kept = { a: null, b: null, data: null, job: null, result: null, only: "all", pictures: [] };

export async function show(root, state) {
  const models = state.overview.models.filter(({ error }) => !error).map(({ name }) => name);
  if (models.length < 2) return tooFew(root, state, models.length);
  const view = new View(root, state, models);
  view.draw();
  return () => view.leave();
}

function tooFew(root, state, there) {
  const words = there ? "There is one model here. A second one, trained in another way, can be compared with it." : "There is no model here yet.";
  fill(
    root,
    el("h1", {}, "Which of two models is better?"),
    el("p", { class: "lead" }, words),
    el("p", {}, el("button", { type: "button", class: "button primary", onclick: () => state.go("train") }, "Train a model")),
  );
}

class View {
  constructor(root, state, models) {
    Object.assign(this, { root, state, models, ended: new AbortController(), shown: PAGE });
  }

  draw() {
    const pair = this.models.find((name) => this.models.some((other) => other !== name && this.task(other) === this.task(name))) ?? this.models[0];
    if (!this.models.includes(kept.a)) kept.a = pair;
    if (!this.models.includes(kept.b) || kept.b === kept.a) kept.b = this.models.find((name) => name !== kept.a && this.task(name) === this.task(kept.a)) ?? this.models.find((name) => name !== kept.a);
    const choice = (name, text, options) => {
      const select = el("select", { onchange: () => this.choose(name, select.value) }, options.map(([value, told]) => el("option", { value, selected: value === kept[name] }, told)));
      return el("label", { class: "field" }, text, select);
    };
    const named = this.models.map((name) => [name, name]);
    this.dataSelect = el("select", { onchange: () => this.choose("data", this.dataSelect.value) });
    this.dataField = el("label", { class: "field" }, "Pictures", this.dataSelect);
    this.button = el("button", { type: "button", class: "button primary", onclick: () => this.start() }, "Compare");
    const files = el("input", { type: "file", multiple: true, accept: "image/*", hidden: true, onchange: () => this.add([...files.files]) });
    this.pick = el("button", { type: "button", class: "button", onclick: () => files.click() }, "Choose pictures");
    this.found = el("section", { "aria-label": "What was found" });
    fill(
      this.root,
      el("h1", {}, "Which of two models is better?"),
      el("p", { class: "lead" }, "Both get the same pictures. Look at those on which they disagree."),
      el("div", { class: "bar compare-bar" }, choice("a", "Model A", named), choice("b", "Model B", named), this.dataField, this.button, this.pick, files),
      this.found,
    );
    this.state.keys = {
      ArrowRight: ["Next disagreement", () => this.step(1)],
      ArrowLeft: ["Disagreement before", () => this.step(-1)],
      ...Object.fromEntries(Object.entries(SHOW).map(([name, text], place) => [String(place + 1), [text, () => this.filter(name)]])),
    };
    this.listen();
    this.fit();
    if (kept.result && !this.drawn) this.drawResult();
    else if (this.drawn && kept.pictures.length && !this.pick.hidden) this.answer();
  }

  listen() {
    const { signal } = this.ended;
    addEventListener("dragover", (event) => event.preventDefault(), { signal });
    addEventListener("drop", (event) => {
      event.preventDefault();
      this.add([...event.dataTransfer.files]);
    }, { signal });
  }

  choose(name, value) {
    kept[name] = value;
    kept.result = null;
    fill(this.found);
    this.fit();
    if (kept.pictures.length && !this.pick.hidden) this.answer();
  }

  model(name) {
    return this.state.overview.models.find((model) => model.name === name);
  }

  task(name) {
    return this.model(name)?.task;
  }

  /** What is drawn over pictures is shown side by side on dropped ones, whose truth nobody knows. */
  get drawn() {
    return kept.data === DROPPED && Boolean(kindOf(this.model(kept.a)).layers);
  }

  get plural() {
    return this.state.overview.tasks[this.task(kept.a)]?.plural ?? "models";
  }

  /** The data that these models can be judged on, and dropped pictures, where they can be compared without. */
  offer() {
    const task = this.task(kept.a), type = this.model(kept.a)?.annotation_type;
    const fits = (one) => one.task === task || (type === "boxes" && one.annotation_type === "masks") || (type === "defects" && one.annotation_type === "labels");
    const data = this.state.overview.data.filter(fits).map(({ name }) => [name, name]);
    data.push([DROPPED, "pictures that I drop here"]);
    if (!data.some(([name]) => name === kept.data)) kept.data = data[0]?.[0] ?? null;
    fill(this.dataSelect, data.map(([value, told]) => el("option", { value, selected: value === kept.data }, told)));
  }

  fit() {
    const mixed = this.task(kept.a) !== this.task(kept.b);
    this.offer();
    this.dataField.hidden = mixed;
    this.button.hidden = mixed || kept.data === DROPPED;
    this.pick.hidden = mixed || kept.data !== DROPPED;
    this.button.disabled = kept.a === kept.b || kept.data === null;
    const hint = (text) => fill(this.found, el("p", { class: "drop-hint" }, text));
    if (mixed) return hint("These two are of different kinds: choose two models of one kind.");
    if (kept.data === DROPPED && !kept.pictures.length) return hint(`Drop pictures anywhere on this page. ${this.drawn ? `Both ${this.plural} draw what they find` : "Both models answer them"}; nobody knows the truth of them but you.`);
    return undefined;
  }

  async start() {
    kept.result = null;
    const started = await attempt(() => api("/api/compare/start", { json: { a: kept.a, b: kept.b, data: kept.data } }));
    if (!started) return;
    kept.job = started.job;
    const bar = el("progress", { max: "1", value: "0", "aria-label": "How far the comparison is" });
    const words = el("p", { class: "note" }, "Reading the data …");
    const stop = el("button", { type: "button", class: "quiet", onclick: () => api("/api/compare/stop", { method: "POST", query: { number: started.job } }) }, "Stop");
    fill(this.found, el("div", { class: "waiting" }, bar, el("div", { class: "waiting-words" }, words, stop)));
    this.button.disabled = true;
    await attempt(() => this.wait(started.job, bar, words));
    this.button.disabled = kept.a === kept.b;
    if (kept.result) this.drawResult();
    else fill(this.found);
  }

  async wait(job, bar, words) {
    while (!this.ended.signal.aborted) {
      const told = await api("/api/compare/job", { query: { number: job } });
      if (told.result) {
        kept.result = told.result;
        kept.only = "all";
        say(told.result.summary.join(" "));
        return;
      }
      if (told.total) bar.value = told.done / told.total;
      words.textContent = told.total ? `${told.what}: ${count(told.done)} of ${count(told.total)} pictures` : `${told.what} …`;
      await new Promise((done) => setTimeout(done, 250));
    }
  }

  async add(files) {
    kept.data = DROPPED;
    kept.pictures.push(...files.map((file) => ({ file, id: file.name, url: URL.createObjectURL(file) })));
    this.fit();
    return this.answer();
  }

  answer() {
    if (this.task(kept.a) !== this.task(kept.b)) return this.fit();
    return this.drawn ? this.drawnDropped() : this.answerDropped();
  }

  /** What both draw on each dropped picture. */
  async drawnDropped() {
    const list = el("ul", { class: "both" });
    fill(this.found, el("p", { class: "letters note" }, el("b", { class: "letter a" }, "A"), kept.a, el("b", { class: "letter b" }, "B"), kept.b), list);
    const [a, b] = [kept.a, kept.b];
    for (const picture of kept.pictures) {
      const ask = (model) => api("/api/recognise/answer", { query: { model }, body: picture.file, signal: this.ended.signal });
      try {
        const answers = await Promise.all([ask(a), ask(b)]);
        if (a !== kept.a || b !== kept.b) return;
        list.append(this.pair(picture, answers));
      } catch (error) {
        if (error.name === "AbortError") return;
        list.append(el("li", {}, el("p", { class: "reason" }, `${picture.id}: ${error.message}`)));
      }
    }
    say(`Both ${this.plural} have answered`);
  }

  pair(picture, answers) {
    const side = (answer, place) => {
      const model = this.state.overview.models.find(({ name }) => name === [kept.a, kept.b][place]);
      const letter = el("b", { class: `letter ${"ab"[place]}` }, "AB"[place]);
      if (answer.error) return el("figure", {}, el("figcaption", {}, letter, el("span", { class: "reason" }, answer.error)));
      const boxes = new Boxes({ lit: (index) => boxes.light(index) }), layer = new Layer();
      const { stage } = makeStage({ url: picture.url, name: `${picture.id}, ${model.name}`, id: null }, layer.element, boxes.element);
      attempt(() => overlay(boxes, layer, answer, {}, model));
      return el("figure", {}, stage, el("figcaption", {}, letter, el("span", {}, kindOf(model).spoken(answer, {}, model))));
    };
    return el("li", {}, el("h2", {}, picture.id), el("div", { class: "two" }, answers.map(side)));
  }

  /** Dropped pictures have no truth: only the answers are compared. */
  async answerDropped() {
    fill(this.found, el("p", { class: "note" }, "Both models look …"));
    const rows = [];
    let broken = 0;
    for (const picture of kept.pictures) {
      const ask = (model) => api("/api/recognise/answer", { query: { model }, body: picture.file, signal: this.ended.signal });
      try {
        const [a, b] = await Promise.all([ask(kept.a), ask(kept.b)]);
        if (a.error || b.error) throw new Error(a.error ?? b.error);
        const said = ({ labels, best, prob, known }) => ({ label: labels.join(", ") || (known === false ? best : "nothing"), prob, known: known !== false });
        if (a.label !== b.label) rows.push({ id: picture.id, url: picture.url, truth: null, a: said(a), b: said(b), right: null });
      } catch (error) {
        if (error.name === "AbortError") return;
        broken++;
      }
    }
    const read = kept.pictures.length - broken;
    const summary = [`The models disagree on ${count(rows.length)} of ${count(read, "picture")}.`];
    if (broken) summary.push(`${count(broken, "file")} could not be read.`);
    kept.only = "all";
    kept.result = { summary, warnings: [], tables: [], rows, pictures: read, dropped: true };
    this.drawResult();
  }

  drawResult() {
    const { summary, warnings, tables, rows, dropped, apart = [] } = kept.result;
    this.cards = el("ul", { class: "cards" });
    this.more = el("button", { type: "button", class: "button", onclick: () => ((this.shown += PAGE), this.drawCards()) }, "Show more");
    this.choices = el("div", { class: "choices", role: "group", "aria-label": "Which disagreements" });
    const [first, ...others] = summary;
    fill(
      this.found,
      el("p", { class: "verdict-words" }, first),
      others.map((sentence) => el("p", { class: "note" }, sentence)),
      warnings.map((sentence) => el("p", { class: "warning" }, sentence)),
      !dropped && el("p", { class: "letters note" }, el("b", { class: "letter a" }, "A"), kept.a, el("b", { class: "letter b" }, "B"), kept.b),
      tables.map(side),
      el("div", { class: "bar" }, el("h2", {}, rows.length || apart.length ? "Where they disagree" : "They disagree nowhere"), !dropped && rows.length > 0 && this.choices),
      apart.length > 0 && el("p", { class: "note" }, "Each picture three times: the truth, then what A and what B shows."),
      apart.map(({ picture, told }) => el("figure", { class: "apart" }, el("img", { src: picture, alt: "" }), el("figcaption", { class: "note" }, told.replace("\n", " · ")))),
      this.cards,
      el("p", {}, this.more),
    );
    this.filter(kept.only);
  }

  filter(name) {
    if (!kept.result || (kept.result.dropped && name !== "all")) return;
    kept.only = name;
    this.shown = PAGE;
    const counts = (only) => kept.result.rows.filter((row) => only === "all" || row.right === only).length;
    const focused = this.choices.contains(document.activeElement);
    fill(this.choices, Object.entries(SHOW).map(([only, text]) => el("button", { type: "button", "aria-pressed": String(only === name), onclick: () => this.filter(only) }, `${text} `, el("span", { class: "number" }, count(counts(only))))));
    if (focused) this.choices.querySelector("[aria-pressed=true]").focus();
    this.drawCards();
  }

  drawCards() {
    const rows = kept.result.rows.map((row, number) => ({ ...row, number })).filter((row) => kept.only === "all" || row.right === kept.only);
    fill(this.cards, rows.slice(0, this.shown).map((row) => card(row, this.state)));
    this.more.hidden = rows.length <= this.shown;
  }

  step(by) {
    const cards = [...(this.cards?.children ?? [])];
    if (!cards.length) return;
    const place = cards.indexOf(document.activeElement);
    cards[Math.min(Math.max(place + by, 0), cards.length - 1)].focus();
  }

  leave() {
    this.ended.abort();
  }
}

function card(row, state) {
  const source = row.url ?? `/api/compare/picture?${new URLSearchParams({ number: kept.job, row: row.number })}`;
  const said = (name) => {
    const { label, prob, known } = row[name];
    const right = row.right === name;
    const mark = row.right === null ? null : el("span", { class: right ? "mark good" : "mark bad" }, right ? "✓" : "✗", el("span", { class: "unseen" }, right ? " right" : " wrong"));
    return el("div", { class: "said-by" }, el("b", { class: `letter ${name}` }, name.toUpperCase()), el("span", { class: "said-words" }, el("strong", {}, known ? label : "unknown"), " ", el("span", { class: "note number" }, known ? percent(prob, 0) : `most like ${label}`)), mark);
  };
  return el(
    "li",
    { tabindex: "0", class: "card", title: row.id },
    el("img", { src: source, alt: row.id, loading: "lazy", onload: (event) => event.target.classList.toggle("pixels", event.target.naturalWidth < 120) }),
    el("div", { class: "card-words" }, row.truth !== null && el("p", { class: "truth" }, el("span", { class: "note" }, "truth "), row.truth), said("a"), said("b"), similarButton(state, () => fileAt(source, row.id))),
  );
}

function side({ columns, rows }) {
  const cell = (value) => (value && typeof value === "object" ? el("td", { class: "number" }, metric(value)) : el("td", {}, value ?? "–"));
  return el("div", { class: "table", tabindex: "0", role: "region", "aria-label": "Side by side" }, el("table", {}, el("thead", {}, el("tr", {}, columns.map((name) => el("th", { scope: "col" }, name)))), el("tbody", {}, rows.map((row) => el("tr", {}, row.map(cell))))));
}

