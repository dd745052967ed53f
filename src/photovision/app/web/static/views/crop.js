// A picture of which a part is chosen: drawn with the mouse or a finger, or moved and sized by arrow keys.
import { el } from "../dom.js";

const LEAST = 0.04; // of a side
const STEP = 0.02;

/** {element, leave()}; chosen(part) is called with [left, top, right, bottom] as shares of the sides, null for all of it. */
export function cropper(file, part, chosen) {
  const url = URL.createObjectURL(file);
  const image = el("img", { src: url, alt: "", draggable: "false" });
  const frame = el("div", { class: "part", tabindex: "0", role: "group", "aria-label": "The part that is searched for: arrow keys move it, with Shift they change its size, Enter searches", hidden: true });
  const stage = el("div", { class: "crop-stage" }, image, frame);
  const whole = el("button", { type: "button", class: "button", hidden: true, onclick: () => done(null) }, "The whole picture");
  const some = el("button", { type: "button", class: "button", onclick: () => (place(part ?? [0.25, 0.25, 0.75, 0.75]), frame.focus()) }, "A part of it");
  const hint = el("p", { class: "note" }, "Draw a rectangle over what to search for.");
  const element = el("div", { class: "crop" }, stage, el("div", {}, el("p", {}, el("strong", {}, file.name)), hint, el("div", { class: "bar" }, some, whole)));
  let box = null, from = null;

  image.addEventListener("error", async () => {
    if (image.dataset.preview) return;
    image.dataset.preview = "1"; // a format that the browser cannot show
    const response = await fetch("/api/recognise/preview", { method: "POST", body: file }).catch(() => null);
    if (response?.ok) image.src = URL.createObjectURL(await response.blob());
  });

  function place(next) {
    box = next;
    frame.hidden = whole.hidden = next === null;
    if (next === null) return;
    const [left, top, right, bottom] = next.map((share) => 100 * share);
    Object.assign(frame.style, { left: `${left}%`, top: `${top}%`, width: `${right - left}%`, height: `${bottom - top}%` });
  }

  function done(next) {
    place(next);
    part = next;
    chosen(next);
  }

  const at = (event) => {
    const { left, top, width, height } = stage.getBoundingClientRect();
    return [(event.clientX - left) / width, (event.clientY - top) / height].map((share) => Math.min(1, Math.max(0, share)));
  };
  const between = ([x, y], [u, v]) => [Math.min(x, u), Math.min(y, v), Math.max(x, u), Math.max(y, v)];
  stage.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    stage.setPointerCapture(event.pointerId);
    from = at(event);
  });
  stage.addEventListener("pointermove", (event) => from && place(between(from, at(event))));
  stage.addEventListener("pointerup", (event) => {
    if (!from) return;
    const next = between(from, at(event));
    from = null;
    if (next[2] - next[0] < LEAST || next[3] - next[1] < LEAST) place(part); // a click is no rectangle
    else done(next);
  });
  stage.addEventListener("pointercancel", () => {
    from = null;
    place(part);
  });
  frame.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    if (event.key === "Enter") done(box);
    else if (event.key === "Escape") place(part);
    else if (!by) return;
    else place(event.shiftKey ? sized(box, by) : moved(box, by));
    event.preventDefault();
    event.stopPropagation();
  });
  place(part);
  return { element, leave: () => URL.revokeObjectURL(url) };
}

function moved([left, top, right, bottom], [x, y]) {
  const across = Math.min(Math.max(x, -left), 1 - right), down = Math.min(Math.max(y, -top), 1 - bottom);
  return [left + across, top + down, right + across, bottom + down];
}

function sized([left, top, right, bottom], [x, y]) {
  return [left, top, Math.min(1, Math.max(left + LEAST, right + x)), Math.min(1, Math.max(top + LEAST, bottom + y))];
}
