// The page: which view is shown, its shortcuts, the theme. A view is a module views/NAME.js that exports
// `async function show(root, state)` and may give back a function that cleans up when the view is left.
//
// state.overview   {folder, models: [{name, task, ...}], data: [{name, task, annotation_type}], tasks: {name: {noun, script ...}}} as /api/recognise/overview gives it
// state.model      name of the chosen model, kept between views; null where there is none
// state.cutting    {file, name, url} of the picture that "Cut out" should open next, or null
// state.params     URLSearchParams of the address, as in #/browse?data=flowers
// state.keys       {key: [what it does, function]}: the view's own shortcuts, which go before the page's
// state.reload()   asks for the overview again, after a training
// state.go(view, params)   goes to another view
import { api, attempt, el, fill, say } from "./dom.js";
import { loadKinds } from "./views/kinds.js";
import { show as recognise } from "./views/recognise.js";
import { show as live } from "./views/live.js";
import { show as cutout } from "./views/cutout.js";
import { show as browse } from "./views/browse.js";
import { show as train } from "./views/train.js";
import { show as model } from "./views/model.js";
import { show as reports } from "./views/reports.js";
import { show as start } from "./views/start.js";
import { show as compare } from "./views/compare.js";

const VIEWS = {
  start: { title: "Start", key: "0", show: start, hidden: true },
  model: { title: "Model", key: "i", show: model, hidden: true },
  recognise: { title: "Recognise", key: "r", show: recognise },
  live: { title: "Live", key: "l", show: live },
  cutout: { title: "Cut out", key: "s", show: cutout },
  browse: { title: "Browse", key: "b", show: browse },
  train: { title: "Train", key: "t", show: train },
  reports: { title: "Reports", key: "e", show: reports },
  compare: { title: "Compare", key: "c", show: compare },
};
const main = document.getElementById("main");
const state = {
  overview: { folder: null, models: [], data: [], tasks: {} },
  model: null,
  cutting: null,
  params: new URLSearchParams(),
  keys: {},
  async reload() {
    const found = await attempt(() => api("/api/recognise/overview"));
    if (found) {
      await attempt(() => loadKinds(found));
      state.overview = found;
    }
    const names = state.overview.models.map((model) => model.name);
    if (!names.includes(state.model)) state.model = names[0] ?? null;
  },
  go(view, params = {}) {
    const query = new URLSearchParams(params).toString();
    location.hash = `#/${view}${query ? `?${query}` : ""}`;
  },
};
let leave = null;
let turn = 0;

// The address that opened the page holds its secret, which the browser now keeps: it should not stand in the history.
if (location.search) history.replaceState(null, "", location.pathname + location.hash);

async function route() {
  const [name, query] = location.hash.replace(/^#\//, "").split("?");
  if (location.hash === "#main") return; // the skip link
  const view = VIEWS[name] ? name : "start";
  const mine = ++turn;
  await leave?.();
  if (mine !== turn) return;
  leave = null;
  state.params = new URLSearchParams(query ?? "");
  state.keys = {};
  document.title = `${VIEWS[view].title} · Photovision`;
  for (const link of document.querySelectorAll(".top a")) {
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const root = el("div", { class: `view ${view}` });
  fill(main, root);
  scrollTo(0, 0);
  if (mine > 1) say(VIEWS[view].title);
  const left = await attempt(() => VIEWS[view].show(root, state));
  if (mine === turn) leave = left;
  else await left?.();
}

const pageKeys = {
  ...Object.fromEntries(Object.entries(VIEWS).map(([name, { title, key }]) => [key, [title, () => state.go(name)]])),
  m: ["Light or dark", switchTheme],
  "?": ["These shortcuts", showKeys],
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=range], [type=checkbox], [type=radio]), textarea, select");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.type === "range" && event.key.startsWith("Arrow")) return; // a slider's own keys
  const found = state.keys[event.key] ?? pageKeys[event.key];
  if (!found) return;
  event.preventDefault();
  found[1](event);
});

function showKeys() {
  const names = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", " ": "Space" };
  const rows = Object.entries({ ...pageKeys, ...state.keys }).sort(([a], [b]) => (a in state.keys ? 0 : 1) - (b in state.keys ? 0 : 1));
  fill(
    document.getElementById("keys-list"),
    rows.map(([key, [what]]) => [el("dt", {}, el("kbd", {}, names[key] ?? key)), el("dd", {}, what)]).flat(),
  );
  document.getElementById("keys").showModal();
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function switchTheme() {
  const next = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  localStorage.setItem("theme", next);
  labelTheme();
}

function labelTheme() {
  const button = document.getElementById("theme");
  button.textContent = isDark() ? "☀" : "☾";
  button.setAttribute("aria-label", isDark() ? "Light colours" : "Dark colours");
  button.title = isDark() ? "Light colours (m)" : "Dark colours (m)";
}

fill(
  document.getElementById("views"),
  Object.entries(VIEWS).filter(([, { hidden }]) => !hidden).map(([name, { title }]) => el("a", { href: `#/${name}`, dataset: { view: name } }, title)),
);
document.getElementById("theme").addEventListener("click", switchTheme);
document.getElementById("help").addEventListener("click", showKeys);
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", labelTheme);
addEventListener("hashchange", route);
labelTheme();
await state.reload();
await route();
