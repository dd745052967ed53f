// Pictures of the folder to try a model with: the server offers them, best those that the model has not learned from.
import { api, el } from "../dom.js";
import { fileAt } from "./similar.js";

/** What is offered for a model: {data, version, pictures: [{i, name, label}], note}; without pictures where there are none. */
export async function samplesOf(model) {
  return api("/api/start/samples", { query: { model } }).catch(() => ({ pictures: [], note: "" }));
}

/** The address of a small picture of a data set. */
export function thumbnailOf(data, i, version) {
  return `/api/browse/thumbnail?${new URLSearchParams({ data, i, v: version })}`;
}

/** A sample as a file, as if it had been dropped; `truth` is its label in the data. */
export async function fetchSample(offered, { i, name, label }) {
  const file = await fileAt(`/api/start/picture?${new URLSearchParams({ data: offered.data, i })}`, name);
  return Object.assign(file, { truth: label.join(", ") });
}

/** A row of buttons with pictures; taken(sample) is called with the one that was pressed. */
export function sampleStrip(offered, most, taken) {
  const one = (sample) =>
    el(
      "button",
      { type: "button", class: "sample", title: sample.name, onclick: () => taken(sample) },
      el("img", { src: thumbnailOf(offered.data, sample.i, offered.version), alt: `Test picture ${sample.name.split("/").at(-1)}`, loading: "lazy", decoding: "async", width: "96", height: "96" }),
    );
  return el("div", { class: "samples" }, offered.pictures.slice(0, most).map(one));
}
