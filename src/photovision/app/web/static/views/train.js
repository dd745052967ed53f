import { el, fill } from "../dom.js";

export async function show(root, state) {
  fill(root, el("h1", {}, "Train"));
}
