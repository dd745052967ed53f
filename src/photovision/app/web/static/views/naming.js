// Classes by their names alone: a model that reads text needs no pictures to learn from.
import { api, attempt, el, fill, say } from "../dom.js";
import { weights } from "./weights.js";

/** Fill `place` with a form, where weights are here that read text; made(name) is called with the name of the new model. */
export async function offerNaming(place, made) {
  const known = (await weights()).filter(({ text, here }) => text && here);
  if (!known.length) return;
  const names = el("input", { type: "text", required: true, maxlength: "2000", placeholder: "cat, dog, red car", spellcheck: "false", autocomplete: "off" });
  const choice = el("select", {}, known.map(({ name }) => el("option", { value: name }, name)));
  const button = el("button", { type: "submit", class: "button primary" }, "Make it");
  const words = el("p", { class: "note", role: "status" });
  const make = async (event) => {
    event.preventDefault();
    const wanted = names.value.split(",").map((one) => one.trim()).filter(Boolean);
    button.disabled = true;
    words.textContent = "The names are being read, and the model is written: about half a minute …";
    const found = await attempt(() => api("/api/recognise/named", { json: { weights: choice.value, names: wanted } }));
    button.disabled = false;
    words.textContent = "";
    if (!found) return;
    say(`${found.model} is ready`);
    made(found.model);
  };
  const field = (text, control) => el("label", { class: "field" }, text, control);
  fill(
    place,
    el("details", { class: "naming" }, el("summary", {}, "Name your own classes, without training"),
      el("form", { class: "sheet", onsubmit: make }, el("div", { class: "bar" }, field("Classes, separated by commas", names), known.length > 1 && field("Weights", choice), button), words,
        el("p", { class: "note" }, "It has seen no picture of them: evaluate it on labelled pictures before you rely on it."))),
  );
}
