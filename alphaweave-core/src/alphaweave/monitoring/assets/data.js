// The page's data: compressed JSON, whose columns are whole numbers and differences.
const readData = async () => {
  const packed = document.getElementById("data").textContent;
  const bytes = Uint8Array.from(atob(packed), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
};

const column = (packed, count) => {
  const values = new Float64Array(count).fill(NaN);
  const scale = 10 ** packed.k;
  let sum = 0;
  packed.d.forEach((step, at) => { sum += step; values[packed.start + at] = sum / scale; });
  return values;
};

const sums = (steps, first = 0, unit = 1) => {
  const values = new Float64Array(steps.length);
  let sum = 0;
  steps.forEach((step, at) => { sum += step; values[at] = first + sum * unit; });
  return values;
};

const firstAtLeast = (sorted, value) => {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] < value) low = middle + 1; else high = middle;
  }
  return low;
};

// Everything the charts need, unpacked once.
const unpack = (data) => {
  const times = sums(data.times.d, data.times.first, data.times.unit);
  const count = times.length;
  const equity = column(data.equity, count);
  const over = (values) => values.map((value, row) => (equity[row] > 0 ? value / equity[row] : NaN));
  const gross = over(column(data.gross, count));
  const drawdown = new Float64Array(count);
  let peak = data.opening ?? -Infinity;
  equity.forEach((value, row) => {
    peak = Math.max(peak, value);
    drawdown[row] = peak > 0 ? value / peak - 1 : NaN;
  });
  // Bars of a day go by their date, others by their end.
  const shown = data.days ? sums(data.days, 0, DAY) : times;
  return {
    count,
    times,
    shown,
    equity,
    drawdown,
    gross,
    net: data.net ? over(column(data.net, count)) : null,
    turnover: { rows: sums(data.turnover.rows), values: data.turnover.v.map((value) => value / 1e4) },
    label: (row) => (data.days ? dateText(shown[row]) : timeText(shown[row])),
  };
};
