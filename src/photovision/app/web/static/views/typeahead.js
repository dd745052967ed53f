// Choosing one of many classes by typing a part of its name: a dialog with a box and the classes that fit.
import { el, fill } from "../dom.js";

const MOST = 12;

/** Ask for a class; resolves to its name, or null where the person thought better of it. */
export function chooseClass(classes, start = "") {
  return new Promise((resolve) => {
    let found = [], place = 0, answer = null;
    const box = el("input", { type: "text", role: "combobox", "aria-label": "Class", "aria-expanded": "true", "aria-controls": "classes-found", "aria-autocomplete": "list", autocomplete: "off", spellcheck: "false", placeholder: "Part of its name" });
    const list = el("div", { id: "classes-found", role: "listbox", "aria-label": "Classes that fit" });
    const none = el("p", { class: "note", hidden: true }, "No class of that name.");
    const dialog = el("dialog", { class: "typeahead", "aria-label": "Choose a class" }, box, list, none);
    const take = (name) => {
      answer = name;
      dialog.close();
    };
    const draw = () => {
      const text = box.value.trim().toLowerCase();
      const starts = classes.filter((name) => name.toLowerCase().startsWith(text));
      found = [...starts, ...classes.filter((name) => !starts.includes(name) && name.toLowerCase().includes(text))].slice(0, MOST);
      place = Math.min(place, Math.max(0, found.length - 1));
      none.hidden = found.length > 0;
      list.hidden = found.length === 0;
      fill(list, found.map((name, number) => el("div", { role: "option", id: `class-${number}`, "aria-selected": String(number === place), onclick: () => take(name) }, name)));
      if (found.length) box.setAttribute("aria-activedescendant", `class-${place}`);
      else box.removeAttribute("aria-activedescendant");
    };
    box.addEventListener("input", () => ((place = 0), draw()));
    dialog.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        place = (place + (event.key === "ArrowDown" ? 1 : found.length - 1)) % Math.max(1, found.length);
        draw();
      } else if (event.key === "Enter" && found.length) take(found[place]);
      else return;
      event.preventDefault();
    });
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(answer);
    });
    document.body.append(dialog);
    box.value = start;
    draw();
    dialog.showModal();
    box.focus();
  });
}
