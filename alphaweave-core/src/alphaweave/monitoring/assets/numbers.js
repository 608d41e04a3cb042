// Numbers and times as a person reads them. Everything is UTC.
const DAY = 86400000;
const NONE = "–";

const grouped = (value, decimals, least = decimals) =>
  value.toLocaleString("en-US", { minimumFractionDigits: least, maximumFractionDigits: decimals });
// A true minus sign, and no sign on what rounds to zero.
const signed = (text) => (/^-[0.,]*$/.test(text) ? text.slice(1) : text.replace("-", "−"));

const known = (value) => value !== null && value !== undefined && !Number.isNaN(value);
const money = (value) => (known(value) ? signed(grouped(value, 2)) : NONE);
const price = (value) => (known(value) ? signed(grouped(value, Math.abs(value) < 1 ? 8 : 4, 2)) : NONE);
const amount = (value) => (known(value) ? signed(grouped(value, 8, 0)) : NONE);
const percent = (value, decimals = 2) => (known(value) ? `${signed(grouped(100 * value, decimals))} %` : NONE);
// One number of decimals for a whole column, as many as it needs; what would then lose too much gets more.
const aligned = (values, least, digits) => {
  const sizes = values.filter((value) => known(value) && value !== 0).map(Math.abs);
  const largest = sizes.reduce((most, size) => Math.max(most, size), 0);
  const most = Math.max(least, Math.min(8, digits - Math.ceil(Math.log10(largest || 1))));
  let decimals = least;
  while (decimals < most && sizes.some((size) => Math.abs(size - Number(size.toFixed(decimals))) > 1e-9 * size)) decimals += 1;
  return (value) => {
    if (!known(value)) return NONE;
    const small = value !== 0 && Math.abs(value) * 10 ** decimals < 50 && decimals < 8 && digits > 4;
    return signed(small ? grouped(value, 8, decimals) : grouped(value, decimals));
  };
};
const gain = (text, value) => (value > 0 && /[1-9]/.test(text) ? `+${text}` : text);

const pad = (number) => String(number).padStart(2, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const dateText = (ms) => new Date(ms).toISOString().slice(0, 10);
const timeText = (ms) => new Date(ms).toISOString().slice(0, ms % 60000 ? 19 : 16).replace("T", " ");

// Round numbers between two values, about `count` of them.
const ticks = (low, high, count) => {
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough * 0.999);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at += 1) found.push(at * step);
  return { step, found };
};

const decimalsOf = (step) => (step.toFixed(10).replace(/0+$/, "").split(".")[1] ?? "").length;
const UNITS = [[1e9, "B"], [1e6, "M"], [1e3, "k"], [1, ""]];
const axisNumber = (step, largest) => {
  const fits = ([unit]) => unit === 1 || (largest >= 10 * unit && decimalsOf(step / unit) <= 2);
  const [unit, name] = UNITS.find(fits);
  return (value) => (value === 0 ? "0" : signed(grouped(value / unit, decimalsOf(step / unit))) + name);
};
const axisPercent = (step) => (value) => `${signed(grouped(100 * value, decimalsOf(100 * step)))} %`;
