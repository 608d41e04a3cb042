// One panel: a caption with a reading, and an SVG drawn for the rows in view.
const svg = (name, attributes, parent) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
  parent?.append(node);
  return node;
};
const html = (name, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
};

const GUTTER = 64;

// The part of the rows in view, and where each row is drawn.
class View {
  constructor(count, width) {
    this.count = count;
    this.width = width;
    this.set(0, count - 1);
  }

  set(first, last) {
    const least = Math.min(this.count - 1, 4);
    const span = Math.max(least, Math.min(this.count - 1, last - first));
    this.first = Math.max(0, Math.min(first, this.count - 1 - span));
    this.last = this.first + span;
  }

  get whole() { return this.first <= 0 && this.last >= this.count - 1; }
  get step() { return this.width / (this.last - this.first + 1); }
  x(row) { return (row - this.first + 0.5) * this.step; }
  row(x) {
    const row = Math.round(x / this.step + this.first - 0.5);
    return Math.max(Math.ceil(this.first), Math.min(Math.floor(this.last), row));
  }
  get rows() { return [Math.max(0, Math.floor(this.first)), Math.min(this.count - 1, Math.ceil(this.last))]; }
}

// The points to draw: all of them, or for each pixel its first, lowest, highest and last value.
const sample = (values, view) => {
  const [first, last] = view.rows;
  const xs = [];
  const ys = [];
  let low = Infinity;
  let high = -Infinity;
  const put = (row, value) => { xs.push(view.x(row)); ys.push(value); };
  const width = Math.max(1, 1 / view.step);
  for (let start = first; start <= last;) {
    const end = Math.min(last, Math.max(start, Math.floor(start + width) - 1));
    let lowest = -1;
    let highest = -1;
    let begin = -1;
    let finish = -1;
    for (let row = start; row <= end; row += 1) {
      const value = values[row];
      if (Number.isNaN(value)) continue;
      if (begin < 0) begin = row;
      finish = row;
      if (lowest < 0 || value < values[lowest]) lowest = row;
      if (highest < 0 || value > values[highest]) highest = row;
    }
    if (begin >= 0) {
      low = Math.min(low, values[lowest]);
      high = Math.max(high, values[highest]);
      [...new Set([begin, lowest, highest, finish])].sort((a, b) => a - b).forEach((row) => put(row, values[row]));
    }
    start = end + 1;
  }
  return { xs, ys, low, high };
};

const linePath = ({ xs, ys }, y) => {
  // A lone point is a ring: a line needs two.
  if (xs.length === 1) return `M${(xs[0] - 2.5).toFixed(1)},${y(ys[0]).toFixed(1)}a2.5,2.5 0 1 0 5,0a2.5,2.5 0 1 0 -5,0`;
  return xs.map((x, at) => `${at ? "L" : "M"}${x.toFixed(1)},${y(ys[at]).toFixed(1)}`).join("");
};
const areaPath = (points, y, base) => {
  const { xs } = points;
  if (!xs.length) return "";
  return `${linePath(points, y)}L${xs[xs.length - 1].toFixed(1)},${base.toFixed(1)}L${xs[0].toFixed(1)},${base.toFixed(1)}Z`;
};

const barsPath = ({ xs, ys, width }, y, base) => xs.map((x, at) => (
  `M${x.toFixed(1)},${base.toFixed(1)}V${y(ys[at]).toFixed(1)}h${width.toFixed(1)}V${base.toFixed(1)}Z`)).join("");

class Panel {
  // options: id, name, height, layers [{values, kind: "line" | "area" | "bars", style}], axis,
  // zero ("top" or "in": where the axis holds 0), floor (its least range), reading(row),
  // keys [[style, text(row)]] in place of the reading, extras (more of the caption), dates (below it)
  constructor(options) {
    Object.assign(this, options);
    this.title = html("span", { className: "name", textContent: this.name });
    this.keys ??= [["reading", this.reading]];
    this.readings = this.keys.map(([style]) => html("span", { className: style }));
    this.caption = html("figcaption", {}, this.title, ...this.readings, ...(this.extras ?? []));
    this.svg = svg("svg", { class: "plot", role: "img" });
    this.node = html("figure", { className: "panel" }, this.caption, this.svg);
    this.node.dataset.panel = this.id;
    this.back = svg("g", {}, this.svg);
    this.shapes = this.layers.map(({ kind, style }) => ({
      fill: kind === "line" ? null : svg("path", { class: `${style} fill` }, this.svg),
      stroke: kind === "bars" ? null : svg("path", { class: `${style} stroke` }, this.svg),
    }));
    this.over = svg("g", {}, this.svg);
    this.cross = svg("line", { class: "cross", visibility: "hidden" }, this.svg);
    this.dot = svg("circle", { class: "dot", r: 3, visibility: "hidden" }, this.svg);
  }

  draw(view, xTicks, { dates, height }) {
    this.view = view;
    const foot = dates ? 20 : 4;
    const full = height + foot;
    const sampled = this.layers.map((layer) => (layer.kind === "bars" ? layer.bins(view) : sample(layer.values, view)));
    let low = Math.min(...sampled.map((points) => points.low));
    let high = Math.max(...sampled.map((points) => points.high));
    if (!(low <= high)) [low, high] = [0, 1];
    if (this.zero) [low, high] = [Math.min(0, low), Math.max(0, high)];
    const room = Math.max(high - low, this.floor ?? Math.max(Math.abs(high) * 1e-3, 1e-12)) - (high - low);
    const below = this.zero === "top" ? 1 : this.zero ? 0 : 0.5;
    low -= room * below;
    high += room * (1 - below);
    const margin = (high - low) * 0.06;
    if (!this.zero || low < 0) low -= margin;
    if (!this.zero || high > 0) high += margin;
    this.y = (value) => 4 + ((high - value) / (high - low)) * (height - 8);
    this.svg.setAttribute("viewBox", `0 0 ${view.width + GUTTER} ${full}`);
    this.svg.style.height = `${full}px`;
    this.grid(low, high, height, xTicks, dates);
    const base = this.y(this.zero ? 0 : low);
    this.layers.forEach((layer, at) => {
      const points = sampled[at];
      const { fill, stroke } = this.shapes[at];
      fill?.setAttribute("d", layer.kind === "bars" ? barsPath(points, this.y, base) : areaPath(points, this.y, base));
      stroke?.setAttribute("d", linePath(points, this.y));
    });
    this.over.replaceChildren();
    this.decorate?.(this, view, height);
    this.cross.setAttribute("y2", height);
    this.svg.setAttribute("aria-label", this.describe(view, low, high));
  }

  grid(low, high, height, xTicks, dates) {
    const { width } = this.view;
    const { step, found } = ticks(low, high, Math.max(2, height / 44));
    const text = this.axis(step, Math.max(Math.abs(low), Math.abs(high)));
    const parts = [];
    const add = (name, attributes, content) => {
      const node = svg(name, attributes);
      if (content !== undefined) node.textContent = content;
      parts.push(node);
    };
    found.forEach((value) => {
      const y = Math.round(this.y(value)) + 0.5;
      const strong = this.zero && value === 0 && low < 0 && high > 0;
      add("line", { class: strong ? "zero" : "grid", x1: 0, x2: width, y1: y, y2: y });
      // The topmost label would leave the panel by half its height.
      if (y > 3 && y < height + 1) add("text", { class: "tick", x: width + 8, y: Math.max(9, Math.min(height - 1, y + 3.5)) }, text(value));
    });
    xTicks.forEach(({ row, label }) => {
      const x = Math.round(this.view.x(row)) + 0.5;
      add("line", { class: "grid", x1: x, x2: x, y1: 0, y2: height });
      if (dates) add("text", { class: "tick", x, y: height + 15, "text-anchor": x < 20 ? "start" : "middle" }, label);
    });
    this.back.replaceChildren(...parts);
  }

  describe(view) {
    const [first, last] = view.rows;
    return `${this.name}, ${this.label(first)} to ${this.label(last)}. At the end ${this.reading(last) || "nothing"}.`;
  }

  // Point at a row, or at none: then the reading is that of the last row in view.
  point(row) {
    const at = row ?? this.view.rows[1];
    this.keys.forEach(([, text], place) => { this.readings[place].textContent = text(at); });
    const lead = this.layers.find((layer) => layer.kind !== "bars");
    const value = lead && row !== null ? lead.values[row] : NaN;
    const x = row === null ? 0 : this.view.x(row);
    this.cross.setAttribute("visibility", row === null ? "hidden" : "visible");
    this.cross.setAttribute("x1", x);
    this.cross.setAttribute("x2", x);
    this.dot.setAttribute("visibility", Number.isNaN(value) ? "hidden" : "visible");
    if (!Number.isNaN(value)) { this.dot.setAttribute("cx", x); this.dot.setAttribute("cy", this.y(value)); }
  }
}
