// The panels, which share one view of the rows; the overview below them; pointer and keys.

// Dates on the axis: the finest calendar step that leaves room for its labels.
const MINUTE = 60000;
const STEPS = [
  ...[1, 5, 15, 30, 60, 180, 360, 720].map((minutes) => ({ size: minutes * MINUTE })),
  ...[1, 2, 7].map((days) => ({ size: days * DAY })),
  ...[1, 3, 6].map((months) => ({ months })),
  ...[1, 2, 5, 10, 25, 50].map((years) => ({ months: 12 * years })),
];
const lengthOf = (step) => step.size ?? step.months * 30.44 * DAY;
const tickLabel = (time, step) => {
  const date = new Date(time);
  if (step.months >= 12) return String(date.getUTCFullYear());
  if (step.months) return date.getUTCMonth() ? MONTHS[date.getUTCMonth()] : String(date.getUTCFullYear());
  if (step.size >= DAY || time % DAY === 0) return `${date.getUTCDate()} ${MONTHS[date.getUTCMonth()]}`;
  return `${pad(date.getUTCHours())}:${pad(date.getUTCMinutes())}`;
};
const boundaries = function* (from, to, step) {
  if (step.size) {
    // 1970 began on a Thursday; weeks begin on a Monday.
    const shift = step.size === 7 * DAY ? 4 * DAY : 0;
    for (let at = Math.ceil((from - shift) / step.size) * step.size + shift; at <= to; at += step.size) yield at;
    return;
  }
  const start = new Date(from);
  let month = Math.floor((start.getUTCFullYear() * 12 + start.getUTCMonth()) / step.months) * step.months;
  for (;; month += step.months) {
    const at = Date.UTC(Math.floor(month / 12), month % 12, 1);
    if (at > to) return;
    if (at >= from) yield at;
  }
};
const roomFor = (step) => (step.months >= 12 ? 48 : 64);
const dateTicks = (series, view) => {
  const [first, last] = view.rows;
  const [from, to] = [series.shown[first], series.shown[last]];
  const step = STEPS.find((one) => (to - from) / lengthOf(one) <= view.width / roomFor(one)) ?? STEPS[STEPS.length - 1];
  const room = roomFor(step);
  const found = [];
  for (const time of boundaries(from, to, step)) {
    const row = firstAtLeast(series.shown, time);
    const x = view.x(row);
    // Of two labels that would touch, the second stays away: over a weekend several days are one row.
    if (row <= last && x < view.width - 12 && (!found.length || x - view.x(found[found.length - 1].row) > room * 0.6)) {
      found.push({ row, label: tickLabel(time, step) });
    }
  }
  // Times of day alone would not say which day.
  if (step.size < DAY && found.length && !found.some(({ label }) => label.includes(" "))) {
    found[0].label = `${tickLabel(series.shown[found[0].row], { size: DAY })} ${found[0].label}`;
  }
  return found;
};

class Timeline {
  constructor(node, series, panels, { onView, speak, hint }) {
    Object.assign(this, { node, series, panels, onView, speak, hint });
    panels.forEach((panel) => { panel.label = series.label; node.append(panel.node); });
    this.overview = svg("svg", { class: "overview", "aria-hidden": "true" });
    this.mini = [svg("path", { class: "equity fill" }, this.overview), svg("path", { class: "equity stroke" }, this.overview)];
    this.veils = [0, 1].map(() => svg("rect", { class: "veil", y: 0 }, this.overview));
    this.window = svg("rect", { class: "window", y: 0.5 }, this.overview);
    this.grips = [0, 1].map(() => svg("rect", { class: "grip", width: 5, rx: 2 }, this.overview));
    this.tip = html("div", { className: "tip", hidden: true });
    node.append(this.overview, this.tip);
    this.selection = svg("rect", { class: "selection", y: 0, visibility: "hidden" });
    this.view = new View(series.count, this.widthNow());
    this.row = null;
    this.listen();
    new ResizeObserver(() => {
      const width = this.widthNow();
      if (width !== this.view.width) { this.view.width = width; this.draw(); }
    }).observe(node);
    this.draw();
  }

  widthNow() { return Math.max(120, Math.round(this.node.clientWidth) - GUTTER); }

  show(first, last) {
    this.view.set(first, last);
    this.draw();
  }

  zoom(factor, around = this.row ?? (this.view.first + this.view.last) / 2) {
    const { first, last } = this.view;
    this.show(around - (around - first) * factor, around + (last - around) * factor);
  }

  draw() {
    const xTicks = dateTicks(this.series, this.view);
    const scale = this.view.width < 480 ? 0.78 : this.view.width > 1200 ? 1.15 : 1;
    this.panels.forEach((panel) => panel.draw(this.view, xTicks, { dates: panel.dates, height: Math.round(panel.height * scale) }));
    this.drawOverview();
    this.point(this.row === null ? null : Math.max(this.view.rows[0], Math.min(this.view.rows[1], this.row)));
    this.onView?.(this.view);
  }

  drawOverview() {
    const { width, count } = this.view;
    const height = 44;
    const all = new View(count, width);
    this.overview.setAttribute("viewBox", `0 0 ${width + GUTTER} ${height}`);
    this.overview.style.height = `${height}px`;
    if (this.drawn !== width) {
      const points = sample(this.series.equity, all);
      const span = points.high - points.low || 1;
      const y = (value) => 4 + ((points.high - value) / span) * (height - 8);
      this.mini[0].setAttribute("d", areaPath(points, y, height));
      this.mini[1].setAttribute("d", linePath(points, y));
      this.drawn = width;
    }
    const left = (this.view.first / count) * width;
    const right = ((this.view.last + 1) / count) * width;
    const place = (rect, x, wide, y = 0, tall = height) => Object.entries({ x, y, width: Math.max(0, wide), height: tall }).forEach(([key, value]) => rect.setAttribute(key, value));
    place(this.veils[0], 0, left);
    place(this.veils[1], right, width - right);
    place(this.window, left + 0.5, right - left - 1, 0.5, height - 1);
    place(this.grips[0], left - 2.5, 5, height / 2 - 9, 18);
    place(this.grips[1], right - 2.5, 5, height / 2 - 9, 18);
    this.edges = [left, right];
  }

  point(row, { x = null, panel = null } = {}) {
    this.row = row;
    this.panels.forEach((one) => one.point(row));
    this.tip.hidden = row === null || panel === null;
    if (this.tip.hidden) return;
    this.tip.replaceChildren(html("b", { textContent: this.series.label(row) }), ...this.hint(row, this.view));
    const box = this.node.getBoundingClientRect();
    const top = panel.svg.getBoundingClientRect().top - box.top;
    const wide = this.tip.offsetWidth;
    const left = x + 16 + wide > this.view.width + GUTTER ? x - wide - 16 : x + 16;
    this.tip.style.transform = `translate(${Math.round(Math.max(0, left))}px, ${Math.round(top + 6)}px)`;
  }

  listen() {
    this.panels.forEach((panel) => this.listenTo(panel));
    this.node.addEventListener("keydown", (event) => this.key(event));
    this.node.addEventListener("blur", () => this.point(null));
    this.listenToOverview();
  }

  listenTo(panel) {
    const plot = panel.svg;
    const at = (event) => {
      const box = plot.getBoundingClientRect();
      return Math.max(0, Math.min(this.view.width, ((event.clientX - box.left) / box.width) * (this.view.width + GUTTER)));
    };
    let from = null;
    plot.addEventListener("pointermove", (event) => {
      const x = at(event);
      if (from === null) { this.point(this.view.row(x), { x, panel }); return; }
      this.selection.setAttribute("x", Math.min(from, x));
      this.selection.setAttribute("width", Math.abs(x - from));
      this.selection.setAttribute("height", plot.getBoundingClientRect().height);
      this.selection.setAttribute("visibility", "visible");
    });
    plot.addEventListener("pointerdown", (event) => {
      if (event.pointerType !== "mouse" || event.button !== 0) return;
      from = at(event);
      plot.append(this.selection);
      plot.setPointerCapture(event.pointerId);
    });
    const finish = (event, keep) => {
      if (from === null) return;
      const [low, high] = [from, at(event)].sort((a, b) => a - b);
      from = null;
      this.selection.setAttribute("visibility", "hidden");
      if (keep && high - low > 5) this.show(this.view.row(low), this.view.row(high));
    };
    plot.addEventListener("pointerup", (event) => finish(event, true));
    plot.addEventListener("pointercancel", (event) => finish(event, false));
    plot.addEventListener("pointerleave", () => { if (from === null) this.point(null); });
    plot.addEventListener("dblclick", () => this.show(0, this.series.count - 1));
    plot.addEventListener("wheel", (event) => {
      const { first, last } = this.view;
      const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
      // A plain wheel scrolls the page.
      if (!sideways && !event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      if (sideways) {
        const rows = event.deltaX / this.view.step;
        this.show(first + rows, last + rows);
      } else {
        this.zoom(Math.exp(event.deltaY * 0.004), this.view.row(at(event)));
      }
    }, { passive: false });
  }

  listenToOverview() {
    let drag = null;
    const at = (event) => {
      const box = this.overview.getBoundingClientRect();
      return ((event.clientX - box.left) / box.width) * (this.view.width + GUTTER);
    };
    this.overview.addEventListener("pointerdown", (event) => {
      const x = at(event);
      const [left, right] = this.edges;
      const kind = Math.abs(x - left) < 10 ? "left" : Math.abs(x - right) < 10 ? "right" : x > left && x < right ? "move" : "jump";
      drag = { kind, x, first: this.view.first, last: this.view.last };
      if (kind === "jump") {
        const half = (drag.last - drag.first) / 2;
        const middle = (x / this.view.width) * this.series.count;
        this.show(middle - half, middle + half);
        drag = { kind: "move", x, first: this.view.first, last: this.view.last };
      }
      this.overview.setPointerCapture(event.pointerId);
    });
    this.overview.addEventListener("pointermove", (event) => {
      if (!drag) return;
      const rows = ((at(event) - drag.x) / this.view.width) * this.series.count;
      if (drag.kind === "move") this.show(drag.first + rows, drag.last + rows);
      else if (drag.kind === "left") this.show(Math.max(0, Math.min(drag.first + rows, drag.last - 4)), drag.last);
      else this.show(drag.first, Math.max(drag.first + 4, Math.min(drag.last + rows, this.series.count - 1)));
    });
    ["pointerup", "pointercancel"].forEach((name) => this.overview.addEventListener(name, () => { drag = null; }));
  }

  key(event) {
    if (event.target !== this.node || event.ctrlKey || event.metaKey || event.altKey) return;
    const [first, last] = this.view.rows;
    const move = (row) => {
      const to = Math.max(0, Math.min(this.series.count - 1, row));
      const span = this.view.last - this.view.first;
      if (to < first) this.show(to, to + span);
      if (to > last) this.show(to - span, to);
      const panel = this.panels[0];
      this.point(to, { x: this.view.x(to), panel });
      this.speak(`${this.series.label(to)}. ${this.panels.map((one) => `${one.name} ${one.reading(to)}`).join(". ")}`);
    };
    const by = event.shiftKey ? 10 : 1;
    const actions = {
      ArrowLeft: () => move((this.row ?? last + 1) - by),
      ArrowRight: () => move((this.row ?? first - 1) + by),
      Home: () => move(0),
      End: () => move(this.series.count - 1),
      "+": () => this.zoom(0.5),
      "=": () => this.zoom(0.5),
      "-": () => this.zoom(2),
      0: () => this.show(0, this.series.count - 1),
      Escape: () => this.point(null),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }
}
