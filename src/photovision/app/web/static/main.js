// The page: which view is shown, its shortcuts, the theme. A view is a module views/NAME.js that exports
// `async function show(root, state)` and may give back a function that cleans up when the view is left.
//
// state.overview   {folder, models: [{name, task, ...}], data: [{name, task, annotation_type}], tasks: {name: {noun, script ...}}} as /api/recognise/overview gives it
// state.model      name of the chosen model, kept between views; null where there is none
// state.handed     {file, name} of the picture that the next view should open, such as "Cut out", or null
// state.params     URLSearchParams of the address, as in #/browse?data=flowers
// state.keys       {key: [what it does, function]}: the view's own shortcuts, which go before the page's
// state.reload()   asks for the overview again, after a training
// state.go(view, params)   goes to another view
import { api, attempt, el, fill, GONE, say } from "./dom.js";
import { loadKinds } from "./views/kinds.js";

const VIEWS = {
  start: { title: "Start", key: "0", hidden: true },
  model: { title: "Model", key: "i", hidden: true },
  recognise: { title: "Recognise", key: "r" },
  live: { title: "Live", key: "l" },
  cutout: { title: "Cut out", key: "s" },
  browse: { title: "Browse", key: "b" },
  search: { title: "Search", key: "q" },
  faces: { title: "Faces", key: "f" },
  train: { title: "Train", key: "t" },
  reports: { title: "Reports", key: "e" },
  compare: { title: "Compare", key: "c" },
};
const PATIENCE = 400; // milliseconds after which it is said what is waited for
const main = document.getElementById("main");
const state = {
  overview: { folder: null, models: [], data: [], tasks: {} },
  model: null,
  handed: null,
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

/** [name of the view, query] of the address. */
function asked() {
  const [name, query] = location.hash.replace(/^#\//, "").split("?");
  return [VIEWS[name] ? name : "start", query];
}

async function route() {
  const [view, query] = asked();
  if (location.hash === "#main") return; // the skip link
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
  const left = await attempt(async () => (await load(view)).show(root, state));
  if (mine === turn) leave = left;
  else await left?.();
}

/** The module of a view, loaded when it is first shown */
async function load(view) {
  try {
    return await import(`./views/${view}.js`);
  } catch (error) {
    throw error instanceof TypeError ? new Error(GONE) : error;
  }
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
const soon = setTimeout(() => fill(main, el("p", { class: "note" }, "Looking through the folder …")), PATIENCE);
await Promise.all([state.reload(), load(asked()[0]).catch(() => null)]); // why it failed is said by `route`
clearTimeout(soon);
await route();
