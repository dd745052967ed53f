// The scripts that draw the predictions of a task, loaded when a model of that task is there: `Task.page` names them.
// Each exports by default, with `answer` as the server gives it, `kept` the choices of a view, `model` its facts:
//
// over            what lies over the picture: "Heatmap"; the key h switches it
// filters, orders {name: text} of the list of pictures; kind(item, kept, model) -> name of its filter, by: {order: (item, kept, model) -> rank}
// brief, spoken   nodes for a row of the list, and the same as text: (answer, kept, model)
// columns, lines  of the CSV file: lines(item, kept, model) -> rows
// words           nodes for a picture of a data set: (answer, model)
// layers          what is drawn over a picture, {boxes, mask, hidden}: (answer, kept, model); absent where nothing is
// large           the chosen picture: (kept, state, changed) -> {element, show(item), toggle(), leave()}
import { api, fill } from "../dom.js";

export const BROKEN = { broken: "Unreadable" };

const plain = {
  over: "Picture",
  filters: { all: "All", ...BROKEN },
  orders: { given: "as given", name: "by file name" },
  kind: () => "all",
  by: {},
  brief: () => [],
  spoken: () => "",
  columns: ["file", "error"],
  lines: ({ name, error }) => [[name, error]],
  words: () => [],
  large: () => ({ element: document.createElement("section"), show() {}, toggle() {}, leave() {} }),
};
const loaded = new Map();

/** Load the scripts of all tasks of some models: overview as the server gives it. */
export async function loadKinds({ models, tasks }) {
  const wanted = [...new Set(models.map(({ task }) => task))].filter((name) => tasks?.[name]?.script && !loaded.has(name));
  await Promise.all(wanted.map(async (name) => loaded.set(name, (await import(`../${tasks[name].script}`)).default)));
}

export function kindOf(model) {
  return loaded.get(model?.task) ?? plain;
}

/** Draw the layers of a prediction with `Boxes` and `Layer` of overlay.js; gives whether there are any. */
export async function overlay(boxes, layer, answer, kept, model) {
  const drawn = kindOf(model).layers?.(answer, kept, model) ?? {};
  boxes.show(answer.size ?? [1, 1], drawn.boxes ?? [], model.colours);
  layer.element.hidden = !drawn.mask;
  if (drawn.mask) await layer.show(drawn.mask, model.colours, drawn.hidden ?? []);
  return Boolean(drawn.boxes || drawn.mask);
}

/** Show what a model says of a frame of the camera, see camera.js; model() gives the chosen one. */
export async function answerFrame(model, kept, frame, { live, boxes, layer, signal }) {
  const chosen = model();
  const answer = await api("/api/recognise/answer", { query: { model: chosen.name }, body: frame, signal });
  if (chosen !== model()) return;
  if (answer.error) throw new Error(answer.error);
  fill(live, kindOf(chosen).brief(answer, kept, chosen).flatMap((part) => (part ? [part, " "] : [])));
  await overlay(boxes, layer, answer, kept, chosen);
}
