// The service of one model: started and stopped here, with its address and a line to try it.
import { api, attempt, el, fill, say, toast } from "../dom.js";
import { fetchSample, samplesOf } from "./samples.js";

const EVERY = 700; // milliseconds

/** The panel of a model, as {element, leave()}. */
export function serving(model, state) {
  const port = el("input", { type: "number", min: "0", max: "65535", value: "8000" });
  const field = el("label", { class: "field" }, "Port", port);
  const start = el("button", { type: "button", class: "button primary", onclick: () => begin() }, "Serve");
  const stop = el("button", { type: "button", class: "button", hidden: true, onclick: () => end() }, "Stop serving");
  const shown = el("div", { class: "served", role: "status" });
  const element = el("section", { class: "sheet deed", "aria-label": "Serve" }, el("h3", {}, "Serve"), el("p", { class: "note" }, "Answers pictures over HTTP on this machine, until it is stopped or the page ends."), shown, el("div", { class: "bar" }, field, start, stop));
  const asked = el("div", { class: "asked", role: "status" });
  let timer = null, last = null, turn = 0;
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

  /** A picture goes to the service and its answer is shown as it came. */
  const ask = async (file) => {
    fill(asked, el("p", { class: "note" }, "Asking …"));
    const found = await attempt(() => api("/api/serving/ask", { body: file }));
    if (!found) return fill(asked);
    const picture = el("img", { src: URL.createObjectURL(file), alt: file.name, onload: (event) => URL.revokeObjectURL(event.target.src) });
    say(`Answered in ${found.milliseconds} milliseconds`);
    return fill(asked, picture, el("div", {}, el("p", { class: "note number" }, `Answered in ${found.milliseconds} ms`), el("pre", { tabindex: "0", "aria-label": "The answer" }, JSON.stringify(found.answer, null, 1))));
  };

  /** Buttons for a test picture of the model's data, where there is one, and for any other. */
  function asking() {
    const files = el("input", { type: "file", accept: "image/*,.tif,.tiff,.ppm,.pgm", hidden: true, "aria-label": "Picture to send", onchange: () => files.files.length && ask(files.files[0]) });
    const test = el("button", { type: "button", class: "button", hidden: true }, "Send a test picture");
    samplesOf(model).then((offered) => {
      test.hidden = !offered.pictures.length;
      test.onclick = () => attempt(async () => ask(await fetchSample(offered, offered.pictures[turn++ % offered.pictures.length])));
    });
    return el("div", { class: "bar" }, test, el("button", { type: "button", class: "button", onclick: () => files.click() }, "Send a picture"), files);
  }

  function draw(found) {
    clearTimeout(timer);
    const on = found.state === "starting" || found.state === "running";
    field.hidden = start.hidden = on;
    element.classList.toggle("wide", found.state === "running" && found.model === model);
    stop.hidden = !on;
    if (found.state === "starting") timer = setTimeout(look, EVERY);
    const key = JSON.stringify(found);
    if (key === last) return;
    last = key;
    fill(asked);
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
      asking(),
      asked,
    );
  }
  look();
  return { element, leave: () => (clearTimeout(timer), (timer = "left")) };
}
