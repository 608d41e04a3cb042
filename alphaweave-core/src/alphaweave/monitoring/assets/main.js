// From the data to the page.
const themeButton = () => {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  // A page opened from disk may have no storage.
  const stored = (value) => {
    try {
      if (value !== undefined) localStorage.setItem("alphaweave-theme", value);
      return localStorage.getItem("alphaweave-theme");
    } catch { return null; }
  };
  const now = () => root.dataset.theme ?? (dark.matches ? "dark" : "light");
  const name = () => { button.textContent = now() === "dark" ? "Light theme" : "Dark theme"; };
  const remembered = stored();
  if (remembered === "dark" || remembered === "light") root.dataset.theme = remembered;
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = now() === "dark" ? "light" : "dark";
    stored(root.dataset.theme);
    name();
  });
  dark.addEventListener("change", name);
  name();
};

const colour = (value) => (value > 0 ? "up" : value < 0 ? "down" : "");

// Turnover is summed over as many rows as leave each bar a few pixels.
const turnoverLayer = ({ rows, values }, word) => {
  const layer = { kind: "bars", style: "turnover", unit: word };
  layer.bins = (view) => {
    const size = [1, 2, 5, 10, 20, 50].flatMap((n) => [n, n * 100, n * 10000]).sort((a, b) => a - b).find((n) => n * view.step >= 4) ?? 1000000;
    layer.unit = size === 1 ? word : `${grouped(size, 0)} ${word}s`;
    const [first, last] = view.rows;
    const points = { xs: [], ys: [], low: 0, high: 0, width: Math.max(1, size * view.step - (size * view.step > 6 ? 2 : 1)) };
    let bin = -1;
    for (let at = firstAtLeast(rows, Math.floor(first / size) * size); at < rows.length && rows[at] <= last; at += 1) {
      const here = Math.floor(rows[at] / size);
      if (here !== bin) { bin = here; points.xs.push(view.x(bin * size) - view.step / 2); points.ys.push(0); }
      points.ys[points.ys.length - 1] += values[at];
    }
    points.high = Math.max(0, ...points.ys);
    layer.total = (row) => {
      const start = firstAtLeast(rows, Math.floor(row / size) * size);
      const end = firstAtLeast(rows, (Math.floor(row / size) + 1) * size);
      let sum = 0;
      for (let at = start; at < end; at += 1) sum += values[at];
      return sum;
    };
    return points;
  };
  return layer;
};

// Fills on the price: one mark for those of a side that would cover each other.
const marks = (fills, prices) => (panel, view) => {
  const [first, last] = view.rows;
  const groups = new Map();
  for (let at = firstAtLeast(fills.rows, first); at < fills.rows.length && fills.rows[at] <= last; at += 1) {
    const fill = fills.list[at];
    const x = view.x(fill.row);
    const place = `${fill.buy}:${Math.floor(x / 8)}`;
    const group = groups.get(place) ?? { buy: fill.buy, x: 0, price: 0, count: 0 };
    group.x += x; group.price += fill.price; group.count += 1;
    groups.set(place, group);
  }
  const shapes = { true: "", false: "" };
  groups.forEach(({ buy, x, price: sum, count }) => {
    const size = count > 1 ? 5.5 : 4.5;
    const middle = x / count;
    const y = panel.y(sum / count) + (buy ? 3 : -3);
    const way = buy ? 1 : -1;
    shapes[buy] += `M${middle.toFixed(1)},${y.toFixed(1)}l${-size},${way * size * 1.6}h${2 * size}Z`;
  });
  svg("path", { class: "mark buy", d: shapes.true }, panel.over);
  svg("path", { class: "mark sell", d: shapes.false }, panel.over);
};

const select = (label, names, choose) => {
  const node = html("select", {}, ...names.map((name, at) => html("option", { value: at, textContent: name })));
  node.setAttribute("aria-label", label);
  node.addEventListener("change", () => choose(Number(node.value)));
  return node;
};
const key = (style, text) => html("span", { className: `key ${style}`, textContent: text });

const fillsOf = (data, series) => {
  const { fills } = data;
  const rows = sums(fills.row);
  const times = sums(fills.time);
  return Array.from(rows, (row, at) => ({
    row, time: times[at], at,
    symbol: fills.names[fills.symbol[at]],
    buy: Boolean(fills.buy[at]),
    price: fills.price[at], size: fills.size[at], fees: fills.fees[at],
    slippage: fills.slippage[at], pnl: fills.pnl[at], position: fills.position[at],
    tag: fills.tag[at], order: fills.order[at],
    label: data.days && row < series.count ? series.label(row) : timeText(times[at]),
  }));
};

const charts = (data, series, fills) => {
  const node = document.getElementById("charts");
  if (!series.count) {
    node.append(html("p", { className: "empty", textContent: "No bars were recorded." }));
    node.tabIndex = -1;
    document.getElementById("charts-help").hidden = true;
    return null;
  }
  const word = data.bars === series.count ? "bar" : "point";
  const turnover = turnoverLayer(series.turnover, word);
  const share = (values) => (row) => percent(values[row], 1);
  const panels = [
    new Panel({ id: "equity", name: "Equity", height: 210, dates: true, layers: [{ kind: "area", style: "equity", values: series.equity }], axis: axisNumber, reading: (row) => money(series.equity[row]) }),
    new Panel({ id: "drawdown", name: "Drawdown", height: 92, zero: "top", floor: 0.005, layers: [{ kind: "area", style: "drawdown", values: series.drawdown }], axis: axisPercent, reading: (row) => percent(series.drawdown[row]) }),
    new Panel({
      id: "exposure", name: "Exposure", height: 92, zero: "in", floor: 0.05, axis: axisPercent,
      layers: [{ kind: "area", style: "gross", values: series.gross }, ...(series.net ? [{ kind: "line", style: "net", values: series.net }] : [])],
      reading: (row) => (series.net ? `${share(series.gross)(row)} gross, ${share(series.net)(row)} net` : share(series.gross)(row)),
      ...(series.net ? { keys: [["key gross", (row) => `gross ${share(series.gross)(row)}`], ["key net", (row) => `net ${share(series.net)(row)}`]] } : {}),
    }),
    new Panel({ id: "turnover", name: "Turnover", height: 70, zero: "in", floor: 0.005, dates: !data.prices.length, layers: [turnover], axis: axisPercent, reading: (row) => `${percent(turnover.total(row), 1)} per ${turnover.unit}` }),
  ];
  let timeline = null;
  let chosen = null;
  const symbols = data.prices.map(([name]) => name);
  const choosers = {};
  const addChosen = (id, name, list, options, apply) => {
    if (!list.length) return;
    const choose = (at) => { apply(panel, at); timeline?.draw(); };
    const chooser = select(name, list.map(([label]) => label), choose);
    const panel = new Panel({ id, name, height: 200, layers: [{ kind: "line", style: options.style, values: null }], axis: axisNumber, extras: options.extras, reading: (row) => options.text(panel.layers[0].values[row]) });
    panel.title.replaceWith(chooser);
    choosers[id] = { node: chooser, choose };
    apply(panel, 0);
    panels.push(panel);
  };
  addChosen("price", "Symbol", data.prices, { style: "price", text: price, extras: [key("buy", "buy"), key("sell", "sell")] }, (panel, at) => {
    chosen = symbols[at];
    panel.name = chosen;
    panel.layers[0].values = column(data.prices[at][1], series.count);
    const list = fills.filter((fill) => fill.symbol === chosen).sort((a, b) => a.row - b.row);
    panel.fills = { list, rows: list.map((fill) => fill.row) };
    panel.decorate = marks(panel.fills);
  });
  addChosen("metric", "Metric", data.metrics, { style: "metric", text: amount, extras: [] }, (panel, at) => {
    panel.name = data.metrics[at][0];
    panel.layers[0].values = column(data.metrics[at][1], series.count);
  });
  panels[panels.length - 1].dates = true;
  const pricePanel = panels.find((panel) => panel.id === "price");
  if (pricePanel) pricePanel.dates = true;
  const line = (name, text) => html("div", {}, html("span", { textContent: name }), html("span", { textContent: text }));
  const hint = (row, view) => {
    const lines = panels.map((panel) => line(panel.name, panel.reading(row)));
    if (!pricePanel) return lines;
    const reach = 4 / view.step;
    const near = [];
    const { list, rows } = pricePanel.fills;
    for (let at = firstAtLeast(rows, row - reach); at < rows.length && rows[at] <= row + reach; at += 1) near.push(list[at]);
    near.sort((a, b) => Math.abs(a.row - row) - Math.abs(b.row - row));
    const texts = near.slice(0, 3).map((fill) => `${fill.buy ? "▲ bought" : "▼ sold"} ${amount(fill.size)} at ${price(fill.price)}${fill.row === row ? "" : ` on ${fill.label}`}`);
    if (near.length > 3) texts.push(`and ${near.length - 3} more fills`);
    return [...lines, ...texts.map((textContent) => html("p", { textContent }))];
  };
  const spoken = document.getElementById("spoken");
  timeline = new Timeline(node, series, panels, {
    hint,
    speak: (text) => { spoken.textContent = text; },
    onView: ranges(series, (first, last) => timeline.show(first, last)),
  });
  return {
    timeline,
    // Bring a row, and the symbol that was traded there, before the reader.
    reveal: (first, last, symbol) => {
      const at = symbols.indexOf(symbol);
      if (at >= 0 && symbol !== chosen) { choosers.price.node.value = at; choosers.price.choose(at); }
      const margin = Math.max(20, (last - first) * 0.5);
      timeline.show(first - margin, last + margin);
      timeline.point(first);
      (pricePanel ?? panels[0]).node.scrollIntoView({ block: "center", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    },
  };
};

const ranges = (series, show) => {
  const bar = document.getElementById("ranges");
  const end = series.times[series.count - 1];
  const span = end - series.times[0];
  const lengths = [["1D", 1], ["1W", 7], ["1M", 30.44], ["3M", 91.3], ["6M", 182.6], ["1Y", 365.25], ["3Y", 1095.75], ["5Y", 1826.25], ["10Y", 3652.5]];
  const fitting = lengths.filter(([, days]) => days * DAY < span * 0.95 && span / (days * DAY) < 150).slice(-5);
  const choices = fitting.map(([name, days]) => [name, Math.min(series.count - 2, firstAtLeast(series.times, end - days * DAY))]);
  choices.push(["All", 0]);
  const buttons = choices.map(([name, first]) => {
    const button = html("button", { type: "button", textContent: name });
    button.addEventListener("click", () => show(first, series.count - 1));
    bar.append(button);
    return [button, first];
  });
  return (view) => buttons.forEach(([button, first]) => {
    button.setAttribute("aria-pressed", view.last >= series.count - 1 && Math.abs(view.first - Math.max(0, Math.min(first, series.count - 5))) < 1);
  });
};

const tables = (data, series, fills, reveal) => {
  const { trips, orders, alerts } = data;
  const text = (name, values, more = {}) => ({ name, values: (row) => values[row], text: (row) => values[row], ...more });
  const number = (name, values, show, more = {}) => ({ name, kind: "number", values: (row) => values[row], text: (row) => show(values[row]), ...more });
  const prices = (name, values) => number(name, values, aligned(values, 2, 7));
  const sizes = (name, values) => number(name, values, aligned(values, 0, 9));
  const result = (name, values, show) => number(name, values, (value) => gain(show(value), value), { style: (row) => colour(values[row]) });
  const time = (name, values, more = {}) => ({ name, time: true, values: (row) => values[row], text: (row) => timeText(values[row]), ...more });
  const field = (name) => fills.map((fill) => fill[name]);
  const cut = (part) => (part.total > part.shown ? `The latest ${grouped(part.shown, 0)} of ${grouped(part.total, 0)}.` : "");
  // Of a daily run only the date is of interest, and it is that of the bar.
  const moment = (ms, row) => (data.days && series.count ? series.label(row) : timeText(ms));
  const tags = fills.some((fill) => fill.tag);
  const refused = (row) => ["denied", "rejected"].includes(orders.status[row]);
  const tone = { error: "bad", warning: "warning" };
  return [
    ["fills", "Fills", {
      columns: [
        { name: "Time", time: true, values: (row) => fills[row].time, text: (row) => fills[row].label, act: reveal && ((row) => reveal(fills[row].row, fills[row].row, fills[row].symbol)) },
        text("Symbol", field("symbol")),
        { name: "Side", values: (row) => fills[row].buy, text: (row) => (fills[row].buy ? "▲ buy" : "▼ sell"), style: (row) => (fills[row].buy ? "up" : "down") },
        sizes("Size", field("size")), prices("Price", field("price")), number("Fees", field("fees"), money),
        number("Slippage", field("slippage"), aligned(field("slippage"), 2, 3)), result("Profit", field("pnl"), money), sizes("Position", field("position")),
        ...(tags ? [text("Tag", field("tag"))] : []), text("Order", field("order"), { kind: "id" }),
      ],
      count: fills.length, total: data.fills.total, empty: "No fills.", note: cut({ total: data.fills.total, shown: fills.length }), sort: [0, true],
    }],
    ["trips", "Positions", {
      columns: [
        time("Opened", trips.opened, { text: (row) => moment(trips.opened[row], trips.from[row]), act: reveal && ((row) => reveal(trips.from[row], trips.to[row], trips.names[trips.symbol[row]])) }),
        time("Closed", trips.closed, { text: (row) => (known(trips.closed[row]) ? moment(trips.closed[row], trips.to[row]) : "open") }), text("Symbol", trips.symbol.map((code) => trips.names[code])), text("Side", trips.long.map((long) => (long ? "long" : "short"))),
        sizes("Size", trips.size), prices("Entry", trips.entry), prices("Exit", trips.exit),
        number("Fees", trips.fees, money), result("Profit", trips.pnl, money), result("Return", trips.return, percent),
      ],
      count: trips.opened.length, total: trips.total, empty: "No positions.", note: cut({ total: trips.total, shown: trips.opened.length }), sort: [0, true],
    }],
    ["orders", "Orders", {
      columns: [
        time("Last change", orders.time), text("Symbol", orders.symbol), text("Side", orders.side), text("Type", orders.type),
        text("Status", orders.status.map((status) => status.replace("_", " ")), { style: (row) => (refused(row) ? "bad" : "") }),
        sizes("Quantity", orders.quantity), sizes("Filled", orders.filled), prices("Limit", orders.limit),
        prices("Stop", orders.stop), prices("Average", orders.average), text("Why", orders.why, { kind: "long" }), text("Order", orders.order, { kind: "id" }),
      ],
      count: orders.time.length, total: orders.total, empty: "No orders.", note: cut({ total: orders.total, shown: orders.time.length }), sort: [0, true],
      flag: { name: `Only the ${grouped(orders.refused, 0)} denied or rejected`, count: orders.refused, holds: refused },
    }],
    ["alerts", "Alerts", {
      columns: [time("Time", alerts.time), text("Severity", alerts.severity, { style: (row) => tone[alerts.severity[row]] ?? "" }), text("Code", alerts.code), text("Symbol", alerts.symbol), text("Message", alerts.message, { kind: "long" })],
      count: alerts.time.length, total: alerts.total, empty: "No alerts.", note: cut({ total: alerts.total, shown: alerts.time.length }), sort: [0, true],
    }],
  ];
};

const tabs = (parts) => {
  const list = document.getElementById("tabs");
  const place = document.getElementById("tables");
  const open = (at, focus) => {
    parts.forEach((part, other) => {
      const [id, , options] = part;
      const here = other === at;
      buttons[other].setAttribute("aria-selected", here);
      buttons[other].tabIndex = here ? 0 : -1;
      if (here) { part.table ??= new Table({ id, ...options }); if (!part.table.node.isConnected) place.append(part.table.node); }
      if (part.table) part.table.node.hidden = !here;
    });
    if (focus) buttons[at].focus();
  };
  const buttons = parts.map(([id, name, { total }], at) => {
    const button = html("button", { type: "button", id: `tab-${id}` }, name, html("span", { className: "count", textContent: grouped(total, 0) }));
    button.setAttribute("role", "tab");
    button.setAttribute("aria-controls", "tables");
    button.addEventListener("click", () => open(at));
    button.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (by) open((at + by + parts.length) % parts.length, true);
    });
    list.append(button);
    return button;
  });
  open(0);
};

const start = async () => {
  themeButton();
  const data = await readData();
  const series = unpack(data);
  const fills = fillsOf(data, series);
  const drawn = charts(data, series, fills);
  tabs(tables(data, series, fills, drawn?.reveal));
  const notes = [];
  if (data.bars > series.count) notes.push(`Charts are drawn from ${grouped(series.count, 0)} of ${grouped(data.bars, 0)} bars.`);
  if (data.symbols > data.prices.length) notes.push(`Prices of the ${data.prices.length} most traded of ${grouped(data.symbols, 0)} symbols.`);
  document.getElementById("footnote").textContent = notes.length ? ` ${notes.join(" ")}` : "";
  document.documentElement.dataset.ready = "true";
};
start();
