// Figures and times as text.

/** A share of one core as percent: 0.2412 → "24.1 %". */
export function percent(share) {
  const value = share * 100;
  return `${value >= 99.95 || value === 0 ? value.toFixed(0) : value.toFixed(1)} %`;
}

/** A duration in µs with the unit that keeps it short: 16666 → "16.7 ms". */
export function duration(micros) {
  if (micros >= 1e6) return `${short(micros / 1e6)} s`;
  if (micros >= 1e3) return `${short(micros / 1e3)} ms`;
  return `${short(micros)} µs`;
}

function short(value) {
  return String(Number(value.toPrecision(3)));
}

/** How long ago, in the largest unit that fits: 75 s → "1 min". */
export function age(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h`;
  return `${Math.floor(whole / 86_400)} d`;
}

const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** The time of day of an RFC 3339 string, in the reader's zone; the string itself if it is none. */
export function clock(at) {
  const time = Date.parse(at);
  return Number.isNaN(time) ? at : CLOCK.format(time);
}

/** The day of an RFC 3339 string, such as "29 Nov"; empty if it is none. */
export function day(at) {
  const time = Date.parse(at);
  return Number.isNaN(time) ? "" : DAY.format(time);
}

export const count = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
