// The reports of this folder: a list, and one of them in a frame that can do nothing but show it.
import { api, attempt, count, el, fill } from "../dom.js";
import { estimateForm } from "./estimate.js";
import { markdown } from "./markdown.js";

const KINDS = { train: "model", evaluate: "evaluation", estimate: "estimate", compare: "comparison", check: "check of pictures", audit: "audit", explain: "explanation", features: "features", drift: "drift", optimize: "smaller model", adapt: "adapted model" };

export async function show(root, state) {
  const found = await attempt(() => api("/api/reports/list"));
  const reports = found?.reports ?? [];
  const asked = state.params.get("name");
  const report = reports.find((one) => one.name === asked);
  if (report) return read(root, state, report);
  const form = await estimateForm(state, (name) => state.go("reports", { name }));
  listed(root, reports, asked, form.element);
  return form.leave;
}

function listed(root, reports, asked, form) {
  const item = (one) =>
    el(
      "li",
      {},
      el("a", { href: address(one.name) }, one.title),
      el("p", { class: "note" }, `${KINDS[one.kind] ?? one.kind} · ${one.shown} · ${when(one.when)}${one.warnings ? ` · ${count(one.warnings, "warning")}` : ""}`),
      one.first && el("p", {}, one.first),
    );
  const none = el("p", { class: "lead" }, "There are no reports here yet. A training writes one, and so do evaluate, compare, check and audit with -o FOLDER.");
  fill(root, el("h1", {}, "Reports"), asked && el("p", { class: "warning" }, `There is no report ${asked} here.`), form, reports.length ? el("ul", { class: "list" }, reports.map(item)) : none);
}

async function read(root, state, report) {
  const file = state.params.get("file");
  const choice = (one, title) => el("a", { class: "button", href: address(report.name, one), "aria-current": (file ?? null) === one ? "page" : null }, title);
  const head = el(
    "div",
    { class: "head" },
    el("a", { href: "#/reports", class: "back" }, "← All reports"),
    el("h1", {}, report.shown),
    el("nav", { class: "bar", "aria-label": "Parts" }, choice(null, "Report"), report.texts.map((one) => choice(one.file, one.title)), el("a", { class: "button", href: page(report), target: "_blank", rel: "noopener" }, "In a window of its own")),
  );
  if (!file) return fill(root, head, el("iframe", { src: page(report), title: report.title, sandbox: "" })) && undefined;
  const text = await attempt(() => api("/api/reports/text", { query: { name: report.name, file } }));
  return fill(root, head, text && el("article", { class: "sheet text" }, markdown(text.text))) && undefined;
}

function page(report) {
  return `/api/reports/page?${new URLSearchParams({ name: report.name })}`;
}

function address(name, file = null) {
  return `#/reports?${new URLSearchParams(file ? { name, file } : { name })}`;
}

function when(seconds) {
  return new Date(seconds * 1000).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });
}
