// What the list of pictures says and can filter, by the kind of model that answers: classes, boxes or masks.
import { count, el, percent } from "../dom.js";
import { Large } from "./answer.js";
import { Found, tally, visible } from "./found.js";
import { Scene } from "./scene.js";

const BROKEN = { broken: "Unreadable" };

const classify = {
  over: "Heatmap",
  filters: { all: "All", sure: "Sure", unsure: "Unsure", unknown: "Unknown", ...BROKEN },
  orders: { given: "as given", unsure: "least sure first", answer: "by answer", name: "by file name" },
  kind: (item) => item.answer.sure,
  by: {
    unsure: (item) => (item.error || !item.answer ? 2 : item.answer.known === false ? 0 : item.answer.prob),
    answer: (item) => item.answer?.label ?? "~",
  },
  brief(answer) {
    const confidence = el("span", { class: "number soft" }, answer.known === false ? "" : percent(answer.prob, 0));
    const name = answer.known === false ? "unknown" : answer.labels.join(", ") || "no class";
    const others = answer.known !== false && answer.set?.length > 1 && el("span", { class: "note" }, `one of ${answer.set.length}`);
    return [el("strong", {}, name), confidence, others];
  },
  spoken: (answer) => `${answer.label}, ${answer.sure}`,
  columns: ["file", "label", "prob", "set", "error"],
  lines: ({ name, answer, error }) => [[name, answer?.label, answer && answer.known !== false ? answer.prob.toFixed(4) : "", answer?.set?.join("|"), error]],
  large: (kept, state) => new Large(kept, state),
};

const listed = (pairs, most = 3) => [...pairs.slice(0, most).map(([name, many]) => `${count(many)} ${name}`), ...(pairs.length > most ? [`${pairs.length - most} more`] : [])].join(", ");

const detect = {
  over: "Boxes",
  filters: { all: "All", some: "With objects", none: "Nothing found", ...BROKEN },
  orders: { given: "as given", most: "most objects first", name: "by file name" },
  kind: (item, kept, model) => (visible(item.answer, kept, model).length ? "some" : "none"),
  by: { most: (item, kept, model) => (item.answer ? -visible(item.answer, kept, model).length : 1) },
  brief(answer, kept, model) {
    const boxes = visible(answer, kept, model);
    return boxes.length ? [el("strong", {}, count(boxes.length, "object")), el("span", { class: "note" }, listed(tally(boxes)))] : [el("strong", { class: "soft" }, "nothing found")];
  },
  spoken: (answer, kept, model) => listed(tally(visible(answer, kept, model))) || "nothing found",
  columns: ["file", "label", "score", "x1", "y1", "x2", "y2", "height", "width", "error"],
  lines({ name, answer, error }, kept, model) {
    if (!answer) return [[name, "", "", "", "", "", "", "", "", error]];
    return visible(answer, kept, model).map(({ label, score, xyxy }) => [name, label, score.toFixed(4), ...xyxy.map((value) => value.toFixed(1)), ...answer.size, ""]);
  },
  large: (kept, state, changed) => new Found(kept, state, changed),
};

const segment = {
  over: "Masks",
  filters: { all: "All", ...BROKEN },
  orders: { given: "as given", most: "most objects first", name: "by file name" },
  kind: () => "some",
  by: { most: (item) => (item.answer ? -(item.answer.count ?? 0) : 1) },
  brief(answer) {
    const [first] = answer.areas.filter(({ label }) => label !== "background");
    const head = answer.objects ? count(answer.count, "object") : first ? first.label : "background only";
    return [el("strong", {}, head), el("span", { class: "note" }, first ? `${answer.objects ? `${first.label} ` : ""}${percent(first.share)}` : "")];
  },
  spoken: (answer) => (answer.objects ? count(answer.count, "object") : answer.areas.map(({ label, share }) => `${label} ${percent(share)}`).join(", ")),
  columns: ["file", "class", "share", "objects", "error"],
  lines({ name, answer, error }) {
    if (!answer) return [[name, "", "", "", error]];
    return answer.areas.map(({ label, share }) => [name, label, share.toFixed(6), answer.count ?? "", ""]);
  },
  large: (kept, state) => new Scene(kept, state),
};

const KINDS = { classify, detect, segment };

export function kindOf(model) {
  return KINDS[model?.task] ?? classify;
}
