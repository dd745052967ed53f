// The register of a store of faces: who is enrolled, what for and until when; what is known of a person; forgetting.
import { api, attempt, count, el, fill, toast } from "../dom.js";
import { save } from "./overlay.js";

/** Draw the register of a store into a place; signal says when it is left. */
export async function drawRegister(place, store, signal) {
  const known = await attempt(() => api("/api/faces/people", { query: { store } }));
  if (!known || signal.aborted) return;
  const again = () => drawRegister(place, store, signal);
  const alike = known.lookalikes.map(([one, other]) => el("p", { class: "warning" }, `${one} and ${other} can hardly be distinguished.`));
  const rows = el("div");
  const log = el("details", { class: "faces-log", ontoggle: () => log.open && drawLog(rows, store) }, el("summary", {}, "Every use of this store"), rows);
  fill(place, el("p", { class: "note" }, `${count(known.people.length, "person", "people")} enrolled. The key is ${known.key}; without it nothing in the store can be read.`), alike, people(known.people, store, again), log);
}

function people(found, store, again) {
  if (!found.length) return el("p", {}, "Nobody is enrolled.");
  const head = ["Name", "Purpose", "Basis", "Until", "Pictures", "Enrolled", "Actions"].map((text) => el("th", { scope: "col" }, text));
  const rows = found.map((one) =>
    el("tr", {}, el("th", { scope: "row" }, one.name), el("td", {}, one.purpose), el("td", {}, one.basis), el("td", { class: one.expired ? "number expired" : "number" }, one.until, one.expired && " expired"), el("td", { class: "number" }, String(one.pictures)), el("td", {}, `${one.enrolled.slice(0, 10)} by ${one.by}`), el("td", {}, buttons(one, store, again))),
  );
  return el("div", { class: "table faces-table", tabindex: "0", role: "region", "aria-label": "Who is enrolled" }, el("table", {}, el("thead", {}, el("tr", {}, head)), el("tbody", {}, rows)));
}

function buttons({ name }, store, again) {
  const tell = async () => {
    const known = await attempt(() => api("/api/faces/export", { query: { store, name } }));
    if (known) save(new Blob([JSON.stringify(known, null, 2)], { type: "application/json" }), `${name}.json`);
  };
  const forget = async () => {
    if (!(await agreed(name))) return;
    const proof = await attempt(() => api("/api/faces/forget", { json: { store, name } }));
    if (!proof) return;
    await again();
    toast(`${name} is forgotten: ${count(proof.patterns, "pattern")} searched for in ${count(proof.bytes, "byte")} of ${count(proof.files, "file")}, none found.`, null, 12);
  };
  return el("span", { class: "row-buttons" }, el("button", { type: "button", class: "button small", "aria-label": `Export ${name}`, onclick: tell }, "Export"), el("button", { type: "button", class: "button small", "aria-label": `Forget ${name}`, onclick: forget }, "Forget"));
}

/** Whether a person says that somebody should be forgotten, which cannot be undone. */
function agreed(name) {
  return new Promise((done) => {
    const dialog = el("dialog", { "aria-label": `Forget ${name}?` });
    const close = (answer) => (dialog.close(), dialog.remove(), done(answer));
    dialog.addEventListener("cancel", () => close(false));
    dialog.append(el("h2", {}, `Forget ${name}?`), el("p", {}, "Name and templates are removed for good, and all bytes of the store are searched to prove it. This cannot be undone."), el("div", { class: "bar" }, el("button", { type: "button", class: "button primary", onclick: () => close(true) }, "Forget"), el("button", { type: "button", class: "button", onclick: () => close(false) }, "Keep")));
    document.body.append(dialog);
    dialog.showModal();
  });
}

async function drawLog(place, store) {
  const found = await attempt(() => api("/api/faces/log", { query: { store } }));
  if (!found) return;
  const rows = [...found.rows].reverse().slice(0, 200);
  const cells = rows.map(({ at, event, details }) => el("tr", {}, el("td", { class: "number" }, at.replace("T", " ").slice(0, 19)), el("td", {}, event), el("td", {}, words(details))));
  fill(place, el("p", { class: "note" }, `${count(found.rows.length, "use")}, in a log that nobody changed; people are named by pseudonyms.`), el("div", { class: "table" }, el("table", {}, el("tbody", {}, cells))));
}

function words({ subject, faces, found, people }) {
  const known = (found ?? []).map((one) => one.subject);
  const parts = [subject, faces !== undefined && count(faces, "face"), people !== undefined && count(people, "person", "people"), known.length > 0 && known.join(", ")];
  return parts.filter(Boolean).join(": ");
}
