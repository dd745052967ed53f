// The reports of this folder: a list, and one of them in a frame that can do nothing but show it.
import { api, attempt, count, el, fill, percent } from "../dom.js";
import { estimateForm } from "./estimate.js";
import { markdown } from "./markdown.js";
import { samplesOf, thumbnailOf } from "./samples.js";

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

/** The reports by model, the newest first, and those on pictures after them. */
function listed(root, reports, asked, form) {
  const groups = new Map();
  for (const one of reports) {
    const name = one.of ?? one.data ?? "";
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(one);
  }
  const none = el("p", { class: "lead" }, "There are no reports here yet. A training writes one, and so do evaluate, compare, check and audit with -o FOLDER.");
  const lists = [...groups].map(([name, some]) => group(name, some));
  fill(root, el("h1", {}, "Reports"), asked && el("p", { class: "warning" }, `There is no report ${asked} here.`), reports.length ? lists : none, form);
}

function group(name, reports) {
  const cover = el("span", { class: "cover" });
  const { of: model, data } = reports[0];
  if (model) showCover(cover, async () => samplesOf(model).then(({ pictures, data: set, version }) => pictures[0] && thumbnailOf(set, pictures[0].i, version)));
  else if (data) showCover(cover, async () => api("/api/start/data", { query: { name: data } }).then(({ covers, version }) => covers.length && thumbnailOf(data, covers[0], version)));
  const head = name && el("h2", {}, model ? el("a", { href: `#/model?${new URLSearchParams({ model })}` }, name) : name);
  return el("section", { class: "report-group" }, model || data ? cover : el("span"), el("div", {}, head, el("ul", { class: "list" }, reports.map(item))));
}

async function showCover(cover, find) {
  const src = await find().catch(() => null);
  if (src) fill(cover, el("img", { src, alt: "", loading: "lazy" }));
}

function item(one) {
  const words = el("div", { class: "report-words" }, el("a", { href: address(one.name) }, one.title), el("p", { class: "note" }, `${KINDS[one.kind] ?? one.kind} · ${when(one.when)}${one.warnings ? ` · ${count(one.warnings, "warning")}` : ""}${one.of || one.data ? "" : ` · ${one.shown}`}`), one.verdict ? el("p", { class: `verdict-chip ${one.verdict.level}` }, one.verdict.label) : one.first && el("p", { class: "first" }, one.first));
  const figure = one.figure && el("p", { class: "key-figure" }, el("strong", { class: "number" }, one.figure.unit === "share" ? percent(one.figure.value) : one.figure.value.toFixed(2)), el("span", { class: "note" }, one.figure.name, one.figure.n !== null && `, n = ${one.figure.n.toLocaleString("en")}`));
  return el("li", {}, words, figure);
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
