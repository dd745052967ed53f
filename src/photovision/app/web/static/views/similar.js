// The way from any picture of the page to those that are like it.
import { attempt, el } from "../dom.js";

/** A button that searches for a picture; file() gives it, or a promise of it. */
export function similarButton(state, file, kind = "quiet") {
  const search = () => attempt(async () => {
    const given = await file();
    state.handed = { file: given, name: given.name };
    state.go("search");
  });
  return el("button", { type: "button", class: kind, onclick: search }, "Find similar pictures");
}

/** What lies at an address of this page, as a file of that name. */
export async function fileAt(address, name) {
  const response = await fetch(address);
  if (!response.ok) throw new Error((await response.json().catch(() => ({}))).error ?? "The picture is gone: reload the page.");
  return new File([await response.blob()], name.split("/").at(-1));
}
