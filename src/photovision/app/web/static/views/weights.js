// Weights that can be fetched: what for, how large, under which licence, and the button that does it.
import { api, attempt, el, fill, say } from "../dom.js";
import { drawStage, follow } from "./job.js";

/** What is here or can be fetched, [{name, use, megabytes, licence, here, ready, learns, text}], see fetching.py. */
export async function weights() {
  return (await attempt(() => api("/api/weights/list")))?.weights ?? [];
}

/** A panel for one of them; done() is called when it is here. The network is used only when the button is pressed. */
export function fetchPanel(one, done) {
  const far = el("div", { class: "fetch-far" });
  const button = el("button", { type: "button", class: "button primary", onclick: () => start() }, `Fetch ${one.name} (${one.megabytes} MB)`);
  const start = async () => {
    button.disabled = true;
    if (await attempt(() => api("/api/weights/get", { json: { name: one.name } }))) watch();
    else button.disabled = false;
  };
  let stop = null;
  const watch = () => {
    stop?.();
    stop = follow((job, ended) => {
      const mine = job.kind === "weights";
      button.disabled = job.state === "running";
      if (mine && job.state === "running") drawStage(far, job);
      else if (mine && job.state === "failed") fill(far, el("p", { class: "warning" }, job.error));
      else fill(far);
      if (mine && job.state === "done" && (ended || button.dataset.asked)) {
        say(`${one.name} is here`);
        done();
      }
    });
    button.dataset.asked = "yes";
  };
  return el("section", { class: "sheet fetch", "aria-label": `Fetch ${one.name}` }, el("p", {}, el("strong", {}, one.name), ` ${one.use}`), el("p", { class: "note" }, `${one.megabytes} MB from ${one.source}, once; then it works without a network. Licence: ${one.licence}. Origin: ${one.origin}.${one.score ? ` Published accuracy: ${one.score}.` : ""}`), button, far);
}

/** The panels of ready models of these names that are not here; the overview is asked for again when one is. */
export async function offerReady(place, state, done, names = ["yolov4-tiny"]) {
  const missing = (await weights()).filter(({ name, here }) => names.includes(name) && !here);
  fill(place, missing.map((one) => fetchPanel(one, async () => (await state.reload(), done()))));
}
