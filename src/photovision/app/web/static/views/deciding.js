// Decisions about labels: which key means which class, saving in order, undoing and redoing. The history of this tab
// outlives a reload; every request names what was seen, so that another tab's decision is never overwritten unseen.
import { api, attempt, toast } from "../dom.js";

export const COMMANDS = { s: "accept the suggestion", k: "the label is right", x: "leave out", u: "undo", y: "redo", "/": "another class" };
const DIGITS = [..."123456789"];
const LETTERS = [..."abcdefghijklmnopqrstuvwxyz"].filter((letter) => !(letter in COMMANDS));
const MOST_STEPS = 1000;

/** Key -> class: all classes where the keys are enough, else digits for those that were chosen in this tab, in order. */
export class ClassKeys {
  constructor(data, classes) {
    this.classes = classes;
    this.few = classes.length <= DIGITS.length + LETTERS.length;
    this.store = `photovision-keys:${data}`;
    this.chosen = JSON.parse(sessionStorage.getItem(this.store) ?? "[]").filter((name) => classes.includes(name));
  }

  get pairs() {
    const names = this.few ? this.classes : this.chosen;
    return [...DIGITS, ...(this.few ? LETTERS : [])].slice(0, names.length).map((key, place) => [key, names[place]]);
  }

  of(key) {
    return this.pairs.find(([one]) => one === key)?.[1] ?? null;
  }

  used(name) {
    if (this.few || this.chosen.includes(name) || this.chosen.length >= DIGITS.length) return;
    this.chosen.push(name);
    sessionStorage.setItem(this.store, JSON.stringify(this.chosen));
  }
}

/** The classes that count for a row now, or null where it is left out. */
export function labelOf(row) {
  if (row.decision?.decision === "leave out") return null;
  return row.decision?.decision === "label" ? row.decision.label : row.label;
}

export class Decisions {
  /** changed(i, decision) is called whenever a decision is known to stand. */
  constructor(data, changed) {
    this.data = data;
    this.changed = changed;
    this.store = `photovision-history:${data}`;
    this.history = JSON.parse(sessionStorage.getItem(this.store) ?? '{"done": [], "undone": []}');
    this.turn = Promise.resolve();
  }

  get canUndo() {
    return this.history.done.length > 0;
  }

  get canRedo() {
    return this.history.undone.length > 0;
  }

  decide(row, decision, label = []) {
    const after = decision === "undone" ? null : { decision, label };
    return this.next(async () => {
      const step = { i: row.i, name: row.name, before: row.decision, after };
      if (same(step.before, after)) return true;
      if (!(await this.save(step))) return false;
      this.history.done = [...this.history.done, step].slice(-MOST_STEPS);
      this.history.undone = [];
      this.keep();
      return true;
    });
  }

  undo() {
    return this.next(() => this.step(this.history.done, this.history.undone, ({ before, after, ...of }) => ({ ...of, before: after, after: before })));
  }

  redo() {
    return this.next(() => this.step(this.history.undone, this.history.done, (step) => step));
  }

  /** One after the other, in the order of the keys; gives what `work` gives, null where it failed. */
  next(work) {
    this.turn = this.turn.then(() => attempt(work));
    return this.turn;
  }

  async step(from, to, turned) {
    const step = from.at(-1);
    if (!step) return null;
    if (await this.save(turned(step))) to.push(step);
    from.pop();
    this.keep();
    return step.i;
  }

  async save({ i, name, before, after }) {
    const answer = await api("/api/browse/labels", {
      json: { data: this.data, i, name, decision: after?.decision ?? "undone", label: after?.label ?? [], instead_of: before && { decision: before.decision, label: before.label } },
    });
    this.changed(i, answer.decision);
    if (!answer.saved) toast(`Nothing was changed: ${name.split("/").at(-1)} was decided elsewhere meanwhile, and that is shown now.`, null, 10);
    return answer.saved;
  }

  keep() {
    sessionStorage.setItem(this.store, JSON.stringify(this.history));
  }
}

function same(one, other) {
  return JSON.stringify([one?.decision, one?.label]) === JSON.stringify([other?.decision, other?.label]);
}
