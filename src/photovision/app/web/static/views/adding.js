// Adding pictures: a folder or an archive that a person chooses or drops becomes a new folder below that of the page.
import { api, attempt, count, el, fill, say, toast } from "../dom.js";

const AT_ONCE = 4; // files under way
const PACKED = /\.(zip|tar|tar\.gz|tgz|tar\.bz2|tar\.xz)$/i;
const WANTED = /\.(jpe?g|png|webp|gif|bmp|tiff?|ppm|pgm|avif|heic|jp2|dcm|csv|tsv|jsonl?|ndjson|parquet|xml|txt|ya?ml|md|zip|tar|t?gz|tgz|bz2|xz)$/i;

/** The panel; done(found) is called when a new folder is there. */
export function addPictures(state, done) {
  const folder = el("input", { type: "file", webkitdirectory: true, multiple: true, hidden: true, "aria-label": "Folder of pictures", onchange: () => take([...folder.files].map((file) => [file.webkitRelativePath || file.name, file])) });
  const archive = el("input", { type: "file", accept: ".zip,.tar,.tgz,.gz,.bz2,.xz", hidden: true, "aria-label": "Archive of pictures", onchange: () => take([...archive.files].map((file) => [file.name, file])) });
  const words = el("p", {}, el("strong", {}, "Add pictures. "), el("span", { class: "note" }, `Drop a folder that holds one folder for each class, a folder with boxes or masks, or a zip file; or choose one. They are copied into ${state.overview.folder} and stay on this computer.`));
  const ends = el("div", { class: "drop-buttons" }, button("Choose a folder", () => folder.click()), button("Choose a zip file", () => archive.click()));
  const panel = el("section", { class: "adding", "aria-label": "Add pictures" }, words, ends, folder, archive);
  panel.addEventListener("dragover", (event) => (event.preventDefault(), panel.classList.add("over")));
  panel.addEventListener("dragleave", () => panel.classList.remove("over"));
  panel.addEventListener("drop", async (event) => {
    event.preventDefault();
    panel.classList.remove("over");
    take(await dropped(event.dataTransfer));
  });
  const take = (files) => attempt(() => add(files));

  async function add(files) {
    folder.value = archive.value = "";
    const wanted = files.filter(([path]) => WANTED.test(path) && !path.split("/").some((part) => part.startsWith(".")));
    if (!wanted.length) throw new Error("There is no picture among these files.");
    const tops = new Set(wanted.map(([path]) => path.split("/")[0]));
    const [first] = tops, one = tops.size === 1 && wanted[0][0].includes("/");
    const name = free(state, one ? first : PACKED.test(first) && tops.size === 1 ? first.replace(PACKED, "") : "pictures");
    const stop = new AbortController();
    const bar = el("progress", { max: String(wanted.length), value: "0", "aria-label": "Files added" });
    const far = el("p", { class: "note number", role: "status" }, `Adding ${name}`);
    fill(panel, far, button("Cancel", () => stop.abort()), bar);
    const { number, part } = await api("/api/adding/begin", { json: { name } });
    try {
      const waiting = wanted.values();
      let ready = 0;
      const work = async () => {
        for (const [path, file] of waiting) {
          await put(number, one ? path.split("/").slice(1).join("/") : path, file, part, stop.signal);
          bar.value = ++ready;
          far.textContent = `Adding ${name}: ${count(ready)} of ${count(wanted.length, "file")}`;
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, work)); // each takes the next file that waits
      const found = await api("/api/adding/finish", { method: "POST", query: { number } });
      if (found.data.length) say(`${found.folder} was added`);
      else toast(`${found.folder} was added, but no labels were found in it: put the pictures of each class into a folder of its own.`, null, 12);
      done(found);
    } catch (error) {
      stop.abort();
      await api("/api/adding/drop", { method: "POST", query: { number } }).catch(() => {});
      fill(panel, words, ends, folder, archive);
      throw error;
    }
  }
  return panel;
}

async function put(number, path, file, part, signal) {
  for (let start = 0; start === 0 || start < file.size; start += part) {
    const response = await fetch(`/api/adding/file?${new URLSearchParams({ number, path, start })}`, { method: "PUT", body: file.slice(start, start + part), headers: { "content-type": "application/octet-stream" }, signal });
    if (!response.ok) throw new Error((await response.json().catch(() => ({}))).error ?? `${path} could not be added.`);
  }
}

/** A name that no data set and no model has. */
function free(state, name) {
  const taken = new Set([...state.overview.data, ...state.overview.models, ...(state.overview.skipped ?? [])].map((one) => one.name));
  for (let number = 1; ; number += 1) {
    const tried = number === 1 ? name : `${name}-${number}`;
    if (!taken.has(tried)) return tried;
  }
}

function button(text, action) {
  return el("button", { type: "button", class: "button", onclick: action }, text);
}

/** All files of a drop with their paths, those in folders, too. */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => [file.name, file]);
  const found = [];
  const walk = async (entry) => {
    if (entry.isFile) return found.push([entry.fullPath.replace(/^\//, ""), await new Promise((done, failed) => entry.file(done, failed))]);
    const reader = entry.createReader();
    for (let some; (some = await new Promise((done, failed) => reader.readEntries(done, failed))).length; ) for (const one of some) await walk(one);
  };
  for (const entry of entries) await walk(entry);
  return found;
}
