// Faces: people who agreed are enrolled, recognised in pictures and before the camera, listed and forgotten.
import { api, attempt, count, el, fill, percent, say, toast } from "../dom.js";
import { openCamera } from "./camera.js";
import { Boxes, makeStage } from "./overlay.js";
import { drawRegister } from "./register.js";
import { offerReady } from "./weights.js";

const COLOURS = { same: "#2f9e62", unsure: "#b7791f", unknown: "#6b7280" };
const BASES = { consent: "Consent", contract: "A contract", law: "A law" };
const LIMIT = "A photograph of a person is not distinguished from the person, nor are twins from each other: unlock nothing by a face alone.";
// The choices stay while other views are visited; pictures of people do not.
const kept = { store: null, mode: "who", purpose: "", basis: "consent", until: "" };

export async function show(root, state) {
  const known = await api("/api/faces/stores");
  const view = new Faces(root, state, known);
  view.draw();
  return () => view.leave();
}

class Faces {
  constructor(root, state, known) {
    Object.assign(this, { root, state, known, camera: null, pictures: [], ended: new AbortController() });
  }

  draw() {
    const { stores, missing, writable } = this.known;
    const head = [el("h1", {}, "Faces"), el("p", { class: "lead" }, "People who agreed are recognised; everybody else stays unknown.")];
    if (missing.length) {
      const place = el("div");
      fill(this.root, head, el("p", {}, "Faces are found and compared by two small networks, which are not on this computer yet."), place);
      return offerReady(place, this.state, async () => this.again(), ["sface"]);
    }
    if (!stores.length && !writable) return fill(this.root, head, el("p", {}, "There is no store of faces here: open the page on a folder, with photovision ui FOLDER."));
    if (!stores.includes(kept.store)) kept.store = stores[0] ?? null;
    if (!stores.length) kept.mode = "enrol";
    const choose = el("select", { onchange: () => ((kept.store = choose.value), this.drawMode()) }, stores.map((name) => el("option", { value: name, selected: name === kept.store }, name)));
    this.modes = el("div", { class: "choices", role: "group", "aria-label": "What to do" });
    this.body = el("div", { class: "faces-body" });
    fill(this.root, head, stores.length > 0 && el("section", { class: "sheet faces-bar", "aria-label": "Store" }, el("label", { class: "field" }, "Store of people", choose), this.modes), this.body);
    return this.drawMode();
  }

  async again() {
    const known = await attempt(() => api("/api/faces/stores"));
    if (known && !this.ended.signal.aborted) Object.assign(this, { known }) && this.draw();
  }

  drawMode() {
    const names = { who: "Who is it?", enrol: "New person", register: "Register" };
    fill(this.modes, Object.entries(names).map(([mode, text]) => el("button", { type: "button", "aria-pressed": String(mode === kept.mode), onclick: () => ((kept.mode = mode), this.drawMode(), this.modes.querySelector("[aria-pressed=true]").focus()) }, text)));
    this.camera?.close();
    this.state.keys = {};
    if (kept.mode === "register") return drawRegister(this.body, kept.store, this.ended.signal);
    return kept.mode === "enrol" ? this.drawEnrol() : this.drawWho();
  }

  /** A place for pictures, {element, camera}: chosen, dropped, pasted or taken; take(files) gets them. */
  source(take, words, answer, many) {
    const files = el("input", { type: "file", accept: "image/*,.tif,.tiff", multiple: many, hidden: true, "aria-label": words, onchange: (event) => (take([...event.target.files]), (event.target.value = "")) });
    const camera = el("div", { class: "camera-place" });
    const opened = async () => {
      this.camera?.close();
      this.camera = await attempt(() => openCamera(camera, { answer, keep: (file) => take([file]), closed: () => (this.camera = null), facing: "user" }));
      if (this.ended.signal.aborted) this.camera?.close();
    };
    const pick = el("button", { type: "button", class: "button", onclick: () => files.click() }, many ? "Choose pictures" : "Choose a picture");
    const use = el("button", { type: "button", class: "button", onclick: opened }, "Use the camera");
    const drop = el("section", { class: "drop small", "aria-label": words }, el("p", { class: "drop-words" }, el("strong", {}, many ? "Drop pictures here" : "Drop a picture here"), el("span", { class: "note" }, many ? "They stay on this computer, and are not kept." : "It stays on this computer, and is not kept.")), el("div", { class: "drop-buttons" }, pick, use), files);
    drop.addEventListener("dragover", (event) => (event.preventDefault(), drop.classList.add("over")));
    drop.addEventListener("dragleave", () => drop.classList.remove("over"));
    drop.addEventListener("drop", (event) => (event.preventDefault(), drop.classList.remove("over"), take([...event.dataTransfer.files])));
    this.state.keys = { o: ["Choose pictures", () => files.click()], k: ["Use the camera", opened] };
    return [drop, camera];
  }

  // Who is it?

  drawWho() {
    this.result = el("section", { class: "who", "aria-label": "Who is in the picture", "aria-live": "polite" });
    const ask = (body, live, signal) => api("/api/faces/identify", { query: { store: kept.store, live }, body, signal });
    const live = async (frame, { live: words, boxes, signal }) => {
      const answer = await ask(frame, true, signal);
      if (answer.error) throw new Error(answer.error);
      boxes.show(answer.size, drawn(answer), COLOURS);
      fill(words, answer.faces.length ? spoken(answer) : "Nobody is before the camera.");
    };
    const take = async ([file]) => {
      const answer = file && (await attempt(() => ask(file, false)));
      if (!answer || this.ended.signal.aborted) return;
      if (answer.error) return fill(this.result, el("p", { class: "warning" }, answer.error));
      this.drawAnswer(file, answer);
    };
    fill(this.body, this.source(take, "Picture of people", live, false), this.result, el("p", { class: "note" }, LIMIT));
  }

  drawAnswer(file, answer) {
    const boxes = new Boxes();
    if (this.url) URL.revokeObjectURL(this.url);
    this.url = URL.createObjectURL(file);
    const { stage } = makeStage({ url: this.url, name: file.name, id: 0 }, boxes.element);
    boxes.names = answer.faces.length <= 12;
    boxes.show(answer.size, drawn(answer), COLOURS);
    const rows = answer.faces.map((face) => el("li", {}, el("i", { class: "dot", style: { background: COLOURS[face.verdict] } }), el("span", {}, el("strong", {}, named(face)), face.score === null ? "" : ` score ${face.score.toFixed(3)}`, face.reasons.length ? el("span", { class: "note" }, ` ${face.reasons.join(", ")}`) : "")));
    const words = answer.faces.length ? `${count(answer.faces.length, "face")} in ${file.name}` : `No face was found in ${file.name}.`;
    const facts = `Same from ${answer.threshold.toFixed(3)}: a stranger gets the name of one of the ${count(answer.enrolled, "person", "people")} enrolled in ${percent(answer.fpir)} of cases.`;
    fill(this.result, el("div", { class: "who-grid" }, stage, el("div", {}, el("h2", {}, words), el("ul", { class: "who-list" }, rows), el("p", { class: "note" }, facts))));
    say(`${words} ${spoken(answer)}`);
  }

  // Enrol

  drawEnrol() {
    const text = (label, name, properties = {}) => {
      const input = el("input", { type: "text", maxlength: "200", autocomplete: "off", value: kept[name] ?? "", ...properties, oninput: () => name in kept && (kept[name] = input.value) });
      return [el("label", { class: "field" }, label, input), input];
    };
    const fresh = !this.known.stores.length;
    const [storeField, store] = text("Name of the new store", "", { value: "people" });
    const [nameField, name] = text("Name of the person", "");
    const [purposeField, purpose] = text("What they are recognised for", "purpose", { placeholder: "Door of the lab" });
    const [untilField, until] = text("Until, at the latest", "until", { type: "date", min: new Date().toISOString().slice(0, 10) });
    const basis = el("select", { onchange: () => (kept.basis = basis.value) }, Object.entries(BASES).map(([value, words]) => el("option", { value, selected: value === kept.basis }, words)));
    const list = el("ul", { class: "enrol-pictures", "aria-label": "Pictures of the person" });
    const draw = () => fill(list, this.pictures.map((file, place) => el("li", {}, el("img", { src: file.url, alt: file.name }), el("button", { type: "button", class: "quiet", "aria-label": `Remove ${file.name}`, onclick: () => (this.pictures.splice(place, 1), draw()) }, "Remove"))));
    const take = (files) => {
      for (const file of files) this.pictures.push(Object.assign(file, { url: URL.createObjectURL(file) }));
      draw();
      say(`${count(this.pictures.length, "picture")} of the person`);
    };
    const live = async (_, { live: words }) => fill(words, "One face, from the front, in good light: keep three pictures.");
    const reason = el("div", { role: "alert" });
    const send = async () => {
      const ground = { store: fresh ? store.value.trim() : kept.store, name: name.value, purpose: purpose.value, basis: basis.value, until: until.value };
      button.disabled = true;
      try {
        if (!this.pictures.length) throw new Error("Give at least one picture of the person; three are good.");
        const sizes = this.pictures.map((file) => file.size).join(",");
        const found = await api("/api/faces/enroll", { query: { ...ground, sizes }, body: new Blob(this.pictures, { type: "application/octet-stream" }) });
        if (found.error) throw new Error(found.error);
        await this.enrolled(ground.store, found, fresh);
      } catch (error) {
        fill(reason, el("p", { class: "warning" }, error.message));
      }
      button.disabled = false;
    };
    const button = el("button", { type: "submit", class: "button primary" }, "Enrol");
    const form = el("form", { class: "sheet enrol", onsubmit: (event) => (event.preventDefault(), send()) }, fresh && storeField, nameField, purposeField, el("label", { class: "field" }, "On what basis", basis), untilField, el("div", { class: "bar" }, button));
    fill(this.body, el("p", {}, "Nobody is enrolled without a purpose, a legal basis and an end. No picture is kept: names and templates are sealed with a key that lies outside the store."), el("div", { class: "enrol-grid" }, form, el("div", {}, this.source(take, "Pictures of the person", live, true), list)), reason, el("p", { class: "note" }, LIMIT));
    draw();
  }

  async enrolled(store, found, fresh) {
    for (const file of this.pictures) URL.revokeObjectURL(file.url);
    const refused = Object.entries(found.refused).map(([picture, why]) => `${picture} was not taken: ${why}`);
    const alike = found.lookalikes.map((other) => `${found.name} can hardly be distinguished from ${other}`);
    this.pictures = [];
    Object.assign(kept, { store, mode: "register" });
    await this.again();
    for (const words of [...refused, ...alike]) toast(words, null, 12);
    toast(`${found.name} is enrolled until ${found.until} from ${count(found.pictures, "picture")}.`);
    if (fresh) toast(`The key of ${store} is ${found.key}: keep a copy of it elsewhere, and never in the store.`, null, 20);
  }

  leave() {
    this.ended.abort();
    this.camera?.close();
    if (this.url) URL.revokeObjectURL(this.url);
    for (const file of this.pictures) URL.revokeObjectURL(file.url);
  }
}

/** Faces of an answer as boxes of overlay.js. */
function drawn({ faces }) {
  return faces.map((face, index) => ({ xyxy: face.xyxy, label: named(face), class: face.verdict, index }));
}

function named({ name, candidate }) {
  return name ?? (candidate ? `perhaps ${candidate}` : "unknown");
}

function spoken({ faces }) {
  return faces.map((face) => [named(face), ...face.reasons].join(", ")).join("; ");
}
