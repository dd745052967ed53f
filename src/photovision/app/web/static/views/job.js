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

const SILENT = 3; // seconds after which a stage that is complete is not what is being done

/** What a job is doing, in words, and the share of it that is done: null where nobody knows. */
export function stageWords(job) {
  const { stage } = job;
  if (!stage) return { words: "Starting: the libraries are being loaded …", share: null };
  const far = stage.total ? ` ${count(stage.done)} of ${count(stage.total)}` : "";
  const over = stage.total > 0 && stage.done >= stage.total && job.now - stage.time > SILENT;
  if (over) return { words: `${stage.name}${far} is done; the next step has been in preparation for ${duration(job.now - stage.time)} …`, share: null };
  return { words: `${stage.name}${far}${stage.line ? ` · ${stage.line}` : ""}`, share: stage.total ? stage.done / stage.total : null };
}

/** The stage under way with a bar. */
export function drawStage(into, job) {
  const { words, share } = stageWords(job);
  return fill(into, el("p", { class: "note number" }, words), el("progress", { max: "1", value: share === null ? null : String(share), "aria-label": job.stage?.name ?? job.title }));
}
