// What accuracy to expect of a model on other pictures: a form above the reports, and how far the estimate is.
import { api, attempt, el, fill, say } from "../dom.js";
import { drawStage, follow } from "./job.js";

/** The form, or null where no model can estimate; done(name) is called with the name of the report. */
export async function estimateForm(state, done) {
  const { models, pictures } = (await attempt(() => api("/api/training/estimate"))) ?? { models: [], pictures: [] };
  if (!models.length || !pictures.length) return { element: null, leave: () => {} };
  const select = (names, chosen) => el("select", {}, names.map((name) => el("option", { value: name, selected: name === chosen }, name)));
  const model = select(models, state.model), folder = select(pictures, null);
  const go = el("button", { class: "button primary", type: "submit" }, "Estimate");
  const cancel = el("button", { class: "button", type: "button", hidden: true, onclick: () => attempt(() => api("/api/training/cancel", { method: "POST" })) }, "Cancel");
  const stage = el("div", { class: "under-way" });
  let stop = null;
  const watch = () => {
    stop?.();
    stop = follow((job, ended) => {
      const running = job.state === "running", mine = job.kind === "estimate";
      go.disabled = running;
      cancel.hidden = !(running && mine);
      if (running && mine) drawStage(stage, job);
      else if (running) fill(stage, el("p", { class: "note" }, `${job.title[0].toUpperCase()}${job.title.slice(1)} is under way.`));
      else if (ended && mine && job.state === "failed") fill(stage, el("p", { class: "warning" }, job.error));
      else fill(stage);
      if (ended && mine) say(`${job.title}: ${job.state}`);
      if (ended && mine && job.state === "done") done(job.facts.report);
    });
  };
  const begin = async (event) => {
    event.preventDefault();
    const wish = { model: model.value, pictures: folder.value };
    if (await attempt(() => api("/api/training/estimate", { json: wish }))) watch();
  };
  const field = (text, control) => el("label", { class: "field" }, text, control);
  const element = el(
    "form",
    { class: "sheet", onsubmit: begin },
    el("h2", {}, "What accuracy to expect on other pictures"),
    el("p", { class: "note" }, "Without labels: from how alike they are to the training pictures, and how sure the model is."),
    el("div", { class: "bar" }, field("Model", model), field("Pictures", folder), go, cancel),
    stage,
  );
  watch();
  return { element, leave: () => stop?.() };
}
