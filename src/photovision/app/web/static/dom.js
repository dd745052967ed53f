// Elements, requests and messages: the little that all views share.

/**
 * An element: el("button", {class: "button", onclick: f, "aria-pressed": true}, "Text", child, ...).
 * Properties that are false, null or undefined are left out; `dataset` and `style` take objects; `on...` takes functions.
 * Text is always text, never HTML: names of classes and files come from strangers.
 */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "dataset" || name === "style") {
      for (const [key, one] of Object.entries(value)) {
        if (name === "style" && key.startsWith("--")) element.style.setProperty(key, one);
        else element[name][key] = one;
      }
    } else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true && !name.startsWith("aria-") ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Replace all that is in `parent`. */
export function fill(parent, ...children) {
  parent.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return parent;
}

export const GONE = "The program behind this page does not answer: was it stopped? Start 'photovision ui' again.";

/**
 * Ask the server: api("/api/x", {query: {a: 1}, json: {...} | body: blob, method, signal}) -> parsed JSON.
 * Throws Error with the server's one-line reason.
 */
export async function api(path, { query = {}, json, body, method, signal } = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  const address = given.length ? `${path}?${new URLSearchParams(given)}` : path;
  const headers = json === undefined ? {} : { "content-type": "application/json" };
  let response;
  try {
    response = await fetch(address, {
      method: method ?? (json === undefined && body === undefined ? "GET" : "POST"),
      body: json === undefined ? body : JSON.stringify(json),
      headers,
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(GONE);
  }
  const told = await response.json().catch((error) => {
    if (error.name === "AbortError") throw error; // given up while the answer was coming: it must not pass for an empty one
    return {};
  });
  if (!response.ok) throw new Error(told.error ?? `The program answered with status ${response.status}.`);
  return told;
}

/** Say something to people who listen to the page; it is shown nowhere. */
export function say(text) {
  document.getElementById("live").textContent = text;
}

/** A short message at the foot of the page, spoken, too; toast("Saved", {label: "Undo", action: f}, seconds). */
export function toast(text, offer = null, seconds = 6) {
  const close = () => note.remove();
  const button = offer && el("button", { type: "button", class: "quiet", onclick: () => (close(), offer.action()) }, offer.label);
  const note = el("div", { class: "toast" }, el("span", {}, text), button);
  document.getElementById("toasts").append(note);
  say(text);
  setTimeout(close, seconds * 1000);
  return close;
}

/** Run something that may fail, and tell why it failed; gives null then. A request that was called off is no failure. */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    if (error.name !== "AbortError") toast(error.message, null, 10);
    return null;
  }
}

/** 0.1234 -> "12.3%", with a space that does not break; percent(0.1234, 0) -> "12%". */
export function percent(share, digits = 1) {
  return `${(share * 100).toFixed(digits)}%`;
}

/** 12345 -> "12,345"; count(2, "picture") -> "2 pictures"; count(2, "class", "classes") -> "2 classes". */
export function count(number, noun = null, plural = `${noun}s`) {
  const shown = number.toLocaleString("en");
  return noun === null ? shown : `${shown} ${number === 1 ? noun : plural}`;
}

/** A metric {value, low, high, n, unit} as people read it: "91.7% (90.4 to 92.8, n = 2,000)". */
export function metric({ value, low, high, n, unit }) {
  const { scale, digits } = scaleOf(unit);
  const name = unit === "share" ? "%" : unit ? `\u00a0${unit}` : "";
  return `${minus((value * scale).toFixed(digits))}${name}${spread({ low, high, n, unit })}`;
}

/** What a metric rests on: " (90.4 to 92.8, n = 2,000)", or nothing where that is not known. */
export function spread({ low = null, high = null, n = null, unit }) {
  const { scale, digits } = scaleOf(unit);
  const parts = low === null || high === null ? [] : [minus(`${(low * scale).toFixed(digits)} to ${(high * scale).toFixed(digits)}`)];
  if (n !== null) parts.push(`n = ${count(n)}`);
  return parts.length ? ` (${parts.join(", ")})` : "";
}

function scaleOf(unit) {
  return unit === "share" || unit === "points" ? { scale: 100, digits: 1 } : { scale: 1, digits: 3 };
}

function minus(text) {
  return text.replaceAll("-", "\u2212");
}

/** A name that may break after an underscore, and not in the middle of a word: "Early_blight". */
export function breakable(name) {
  return name.replaceAll("_", "_\u200b");
}
