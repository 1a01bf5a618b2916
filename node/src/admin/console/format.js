// Numbers, sizes and times as people read them. What is not known is a dash.

const DASH = "\u2013";
const grouping = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

function whole(number) {
  return number === null || number === undefined ? DASH : grouping.format(number);
}

/** Three digits, with k, M, G. */
function short(number) {
  if (number === null || number === undefined) return DASH;
  const units = ["", "k", "M", "G", "T"];
  let unit = 0;
  while (Math.abs(number) >= 999.5 && unit < units.length - 1) {
    number /= 1000;
    unit += 1;
  }
  if (unit === 0) return number === 0 || number >= 10 ? String(Math.round(number)) : String(Math.round(number * 10) / 10);
  return `${number >= 99.5 ? Math.round(number) : number.toPrecision(number >= 9.95 ? 3 : 2)}${units[unit]}`;
}

function size(bytes) {
  if (bytes === null || bytes === undefined) return DASH;
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  while (bytes >= 1023.5 && unit < units.length - 1) {
    bytes /= 1024;
    unit += 1;
  }
  return `${unit > 0 && bytes < 9.95 ? bytes.toFixed(1) : Math.round(bytes)} ${units[unit]}`;
}

function seconds(time) {
  if (time === null || time === undefined) return DASH;
  if (time < 1e-3) return `${Math.round(time * 1e6)} \u00b5s`;
  if (time < 1) return `${time < 0.01 ? (time * 1e3).toFixed(1) : Math.round(time * 1e3)} ms`;
  return `${time.toFixed(1)} s`;
}

/** How long ago, or how long: 4 s, 3 min, 2 h, 5 d. */
function span(milliseconds) {
  if (milliseconds === null || milliseconds === undefined) return DASH;
  const steps = [[86400e3, "d"], [3600e3, "h"], [60e3, "min"]];
  for (const [step, unit] of steps) if (milliseconds >= step) return `${Math.floor(milliseconds / step)} ${unit}`;
  return `${Math.round(milliseconds / 1000)} s`;
}

const pad = (number, digits = 2) => String(number).padStart(digits, "0");

function clock(milliseconds) {
  const time = new Date(milliseconds);
  return `${pad(time.getHours())}:${pad(time.getMinutes())}:${pad(time.getSeconds())}`;
}

/** A record's time; one that is no time is told as its number. */
function moment(milliseconds) {
  const time = new Date(milliseconds);
  if (milliseconds < 0 || Number.isNaN(time.getTime())) return String(milliseconds);
  const date = `${time.getFullYear()}-${pad(time.getMonth() + 1)}-${pad(time.getDate())}`;
  return `${date} ${clock(milliseconds)}.${pad(time.getMilliseconds(), 3)}`;
}

function counted(number, one, several) {
  return `${whole(number)} ${number === 1 ? one : several}`;
}

/** Bytes of a record in one piece of text; `null` is null. */
function bytesText(bytes) {
  if (bytes === null) return null;
  return bytes.text ?? bytes.hex.replace(/../g, "$& ").trim();
}

/** JSON with line breaks, where a text is JSON that has a structure; else the text. */
function readable(text) {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
