// Markdown of model cards and data sheets as elements: headings, paragraphs, lists, tables, code, links, strong.
// Every text becomes a text node, and links lead nowhere but to the web: cards come from strangers.
import { el } from "../dom.js";

/** The elements of a document; a header between two lines of --- is left out. */
export function markdown(source) {
  const lines = source.replace(/\r\n?/g, "\n").replace(/^---\n[^]*?\n---\n/, "").replace(/<!--[^]*?-->/g, "").split("\n");
  const blocks = [];
  while (lines.length) {
    const line = lines[0];
    if (!line.trim()) lines.shift();
    else if (/^```/.test(line)) blocks.push(fenced(lines));
    else if (/^#{1,6} /.test(line)) blocks.push(heading(lines.shift()));
    else if (/^\s*\|.*\|\s*$/.test(line)) blocks.push(table(lines));
    else if (/^\s*([-*]|\d+\.) /.test(line)) blocks.push(list(lines));
    else blocks.push(el("p", {}, inline(taken(lines, (one) => one.trim() && !/^(#{1,6} |```|\s*\||\s*[-*] )/.test(one)).join(" "))));
  }
  return blocks;
}

function taken(lines, fits) {
  const found = [lines.shift()];
  while (lines.length && fits(lines[0])) found.push(lines.shift());
  return found;
}

function heading(line) {
  const level = Math.min(6, line.match(/^#+/)[0].length + 1); // the page has its own h1
  return el(`h${level}`, {}, inline(line.replace(/^#+ /, "").trim()));
}

function fenced(lines) {
  lines.shift();
  const code = [];
  while (lines.length && !/^```/.test(lines[0])) code.push(lines.shift());
  lines.shift();
  return el("pre", { tabindex: "0" }, el("code", {}, code.join("\n")));
}

function list(lines) {
  const ordered = /^\s*\d+\. /.test(lines[0]);
  const items = [];
  while (lines.length && /^\s*([-*]|\d+\.) |^\s+\S/.test(lines[0])) {
    const line = lines.shift();
    if (/^\s*([-*]|\d+\.) /.test(line)) items.push(line.replace(/^\s*([-*]|\d+\.) /, ""));
    else items[items.length - 1] += ` ${line.trim()}`;
  }
  return el(ordered ? "ol" : "ul", {}, items.map((item) => el("li", {}, inline(item))));
}

function table(lines) {
  const rows = taken(lines, (one) => /^\s*\|.*\|\s*$/.test(one)).map(cells);
  const ruled = rows[1]?.every((cell) => /^:?-+:?$/.test(cell));
  const body = rows.slice(ruled ? 2 : 0);
  const head = ruled && rows[0].some(Boolean) && el("thead", {}, el("tr", {}, rows[0].map((cell) => el("th", { scope: "col" }, inline(cell)))));
  return el("div", { class: "table", tabindex: "0" }, el("table", {}, head, el("tbody", {}, body.map((row) => el("tr", {}, row.map((cell) => el("td", {}, inline(cell))))))));
}

function cells(line) {
  return line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim().replace(/\\\|/g, "|"));
}

function inline(text) {
  const parts = [];
  const pattern = /`([^`]+)`|\*\*([^*]+)\*\*|\[([^\]]+)\]\((https?:\/\/[^\s)]+)\)|\[([^\]]+)\]\([^)]*\)/g;
  let from = 0;
  for (const found of text.matchAll(pattern)) {
    parts.push(plain(text.slice(from, found.index)));
    const [, code, strong, name, address, lost] = found;
    if (code) parts.push(el("code", {}, code));
    else if (strong) parts.push(el("strong", {}, plain(strong)));
    else if (name) parts.push(el("a", { href: address, rel: "noopener noreferrer", target: "_blank" }, plain(name)));
    else parts.push(plain(lost));
    from = found.index + found[0].length;
  }
  parts.push(plain(text.slice(from)));
  return parts;
}

/** Text as it was before it was made harmless for HTML and Markdown. */
function plain(text) {
  const names = { "&lt;": "<", "&gt;": ">", "&amp;": "&", "&quot;": '"', "&#39;": "'" };
  return text.replace(/&(?:lt|gt|amp|quot|#39);/g, (one) => names[one]).replace(/\\([\\`*_{}[\]()#+.!|<>-])/g, "$1");
}
