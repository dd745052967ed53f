// A small curve as SVG: points [[x, y], ...], its ends named.
const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 320, HEIGHT = 120, LEFT = 44, BOTTOM = 20, TOP = 8, RIGHT = 8;

/** curve({title, points, shown: number -> text, low, high}): low and high bound the y axis where they are given. */
export function curve({ title, points, shown, low, high }) {
  const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}: ${points.length ? shown(points.at(-1)[1]) : "nothing yet"}`, class: "curve" });
  if (!points.length) return svg;
  const ys = points.map(([, y]) => y), xs = points.map(([x]) => x);
  const bottom = low ?? Math.min(...ys), top = Math.max(high ?? Math.max(...ys), bottom + 1e-6);
  const last = Math.max(...xs, 1);
  const x = (value) => LEFT + (value / last) * (WIDTH - LEFT - RIGHT);
  const y = (value) => HEIGHT - BOTTOM - ((value - bottom) / (top - bottom)) * (HEIGHT - BOTTOM - TOP);
  for (const value of [bottom, top]) {
    svg.append(make("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value), class: "axis" }));
    svg.append(text(LEFT - 6, y(value) + 4, shown(value), "end"));
  }
  svg.append(text(LEFT, HEIGHT - 5, "0", "middle"), text(WIDTH - RIGHT, HEIGHT - 5, `epoch ${Math.round(last * 10) / 10}`, "end"));
  svg.append(make("polyline", { points: points.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" "), class: "stroke" }));
  const [endX, endY] = points.at(-1);
  svg.append(make("circle", { cx: x(endX), cy: y(endY), r: 3.5, class: "end" }));
  return svg;
}

function text(x, y, content, anchor) {
  const element = make("text", { x, y, "text-anchor": anchor });
  element.textContent = content;
  return element;
}

function make(tag, properties) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
  return element;
}
