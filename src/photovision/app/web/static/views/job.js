// Following the one job of this page: a training, or the check of a data set.
import { api, count, el, fill } from "../dom.js";

const EVERY = 700; // milliseconds

/** Calls told(job) now and while a job runs; gives a function that ends this. */
export function follow(told) {
  let timer = null, ended = false, last = null;
  const look = async () => {
    const job = await api("/api/training/job").catch(() => null);
    if (ended) return;
    if (job) {
      told(job, last?.state === "running" && job.state !== "running");
      last = job;
    }
    if (job === null || job.state === "running") timer = setTimeout(look, EVERY);
  };
  look();
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}

/** 95 -> "1 min 35 s". */
export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole}\u00a0s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}\u00a0min ${whole % 60}\u00a0s`;
  return `${Math.floor(whole / 3600)}\u00a0h ${Math.floor((whole % 3600) / 60)}\u00a0min`;
}

/** The stage under way with a bar: "fine-tuned 12 of 40, epoch 3/10 …". */
export function drawStage(into, job) {
  const stage = job.stage;
  if (!stage) return fill(into, el("p", { class: "note" }, "Starting …"));
  const share = stage.total ? stage.done / stage.total : 0;
  return fill(
    into,
    el("p", { class: "stage-name" }, el("strong", {}, stage.name), ` ${count(stage.done)} of ${count(stage.total)}`),
    el("progress", { max: "1", value: String(share), "aria-label": stage.name }),
    el("p", { class: "note number" }, stage.line || "\u00a0"),
  );
}
