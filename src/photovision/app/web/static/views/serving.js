// The service of one model: started and stopped here, with its address and a line to try it.
import { api, attempt, el, fill, say, toast } from "../dom.js";

const EVERY = 700; // milliseconds

/** The panel of a model, as {element, leave()}. */
export function serving(model, state) {
  const port = el("input", { type: "number", min: "0", max: "65535", value: "8000" });
  const field = el("label", { class: "field" }, "Port", port);
  const start = el("button", { type: "button", class: "button primary", onclick: () => begin() }, "Serve");
  const stop = el("button", { type: "button", class: "button", hidden: true, onclick: () => end() }, "Stop serving");
  const shown = el("div", { class: "served", role: "status" });
  const element = el("section", { class: "sheet deed", "aria-label": "Serve" }, el("h3", {}, "Serve"), el("p", { class: "note" }, "Answers pictures over HTTP on this machine, until it is stopped or the page ends."), shown, el("div", { class: "bar" }, field, start, stop));
  let timer = null, last = null;
  const begin = async () => {
    start.disabled = true;
    const found = await attempt(() => api("/api/serving/start", { json: { model, port: port.valueAsNumber || 0 } }));
    start.disabled = false;
    if (found) draw(found);
  };
  const end = async () => {
    stop.disabled = true;
    const found = await attempt(() => api("/api/serving/stop", { method: "POST" }));
    stop.disabled = false;
    if (found) draw(found);
  };
  const look = async () => {
    const found = await api("/api/serving/status").catch(() => null);
    if (timer !== "left" && found) draw(found);
  };

  function draw(found) {
    clearTimeout(timer);
    const on = found.state === "starting" || found.state === "running";
    field.hidden = start.hidden = on;
    stop.hidden = !on;
    if (found.state === "starting") timer = setTimeout(look, EVERY);
    const key = JSON.stringify(found);
    if (key === last) return;
    last = key;
    if (found.state === "failed") return fill(shown, el("p", { class: "warning" }, found.error));
    if (!on) return fill(shown);
    if (found.model !== model) return fill(shown, el("p", {}, `${found.model} is served${found.address ? ` at ${found.address}` : ""}. Stop it to serve this one.`));
    if (found.state === "starting") return fill(shown, el("p", { class: "note" }, "Starting …"));
    const line = `curl -F file=@picture.jpg ${found.address}/predict`;
    say(`${model} answers at ${found.address}`);
    const copy = async () => {
      await navigator.clipboard?.writeText(line).catch(() => {});
      toast("Copied", null, 2);
    };
    return fill(
      shown,
      el("p", {}, el("span", { class: "lamp", "aria-hidden": "true" }), "Answers at ", el("a", { href: `${found.address}/docs`, target: "_blank", rel: "noopener" }, found.address)),
      el("p", { class: "line" }, el("code", {}, line), el("button", { type: "button", class: "quiet small", onclick: copy }, "Copy")),
    );
  }
  look();
  return { element, leave: () => (clearTimeout(timer), (timer = "left")) };
}
