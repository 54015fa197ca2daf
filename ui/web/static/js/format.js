// Numbers as people read them. A narrow no-break space stands between a number and its unit.

const gap = "\u202f";

/** Rounds to three digits or so, without switching to exponents. @param {number} n */
const short = (n) => n.toFixed(n >= 100 ? 0 : n >= 10 ? 1 : 2);

/** Size in units of 1000, as disks count. @param {number | null | undefined} n */
export function bytes(n) {
  if (n == null || !Number.isFinite(n)) return "–";
  if (Math.abs(n) < 1000) return `${n}${gap}B`;
  let unit = -1;
  let v = n;
  while (Math.abs(v) >= 999.5 && unit < 4) { v /= 1000; unit++; }
  return `${short(v)}${gap}${["kB", "MB", "GB", "TB", "PB"][unit]}`;
}

/** Size in units of 1024, as memory is counted. @param {number} n */
export function gib(n) {
  if (n < 2 ** 30) return `${Math.round(n / 2 ** 20)}${gap}MiB`;
  return `${short(n / 2 ** 30)}${gap}GiB`;
}

/** All digits, in groups. @param {number} n */
export const exact = (n) => String(n).replace(/\B(?=(\d{3})+(?!\d))/g, "\u2009");

/** Number of weights. @param {number} n */
export function weights(n) {
  if (n < 1e6) return exact(n);
  return n < 1e9 ? `${short(n / 1e6)}${gap}million` : `${short(n / 1e9)}${gap}billion`;
}

/** @param {number} n */
export const rate = (n) => (n > 0 ? `${bytes(Math.round(n))}/s` : "–");

/** A span of time, two units at most. @param {number | null | undefined} s seconds */
export function duration(s) {
  if (s == null || !Number.isFinite(s)) return "–";
  if (s < 1) return `under${gap}1${gap}s`;
  s = Math.round(s);
  if (s < 60) return `${s}${gap}s`;
  const m = Math.floor(s / 60);
  if (m < 60) return `${m}${gap}min${s % 60 ? ` ${s % 60}${gap}s` : ""}`;
  const h = Math.floor(m / 60);
  if (h < 48) return `${h}${gap}h${m % 60 ? ` ${m % 60}${gap}min` : ""}`;
  return `${Math.round(h / 24)}${gap}days`;
}

/** @param {number} x 0..100 */
export const percent = (x) => `${x >= 100 ? 100 : Math.floor(x * 10) / 10}${gap}%`;

/** A share of one as a percentage with two digits that count. @param {number} x */
export const share = (x) => `${x === 0 ? "0" : x >= 1 ? Math.round(x * 100) : (x * 100).toPrecision(2)}${gap}%`;

/** @param {number} b */
export const bits = (b) => b.toFixed(2);

/** When something was: the time today, else the date too. @param {string | null} iso */
export function when(iso) {
  if (!iso) return "–";
  const d = new Date(iso);
  const time = d.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  return d.toDateString() === new Date().toDateString() ? time : `${d.toLocaleDateString([], { year: "numeric", month: "short", day: "numeric" })}, ${time}`;
}

/** Seconds between two times; the second one is now where it is missing. @param {string | null} from @param {string | null} to */
export const between = (from, to) => (from ? ((to ? Date.parse(to) : Date.now()) - Date.parse(from)) / 1000 : null);

/** @param {number} n @param {string} one @param {string} [many] */
export const count = (n, one, many = one + "s") => `${exact(n)}${gap}${n === 1 ? one : many}`;

/** Quotes a word for a POSIX shell where it needs that. @param {string} s */
export const shell = (s) => (/^[\w@%+=:,./-]+$/.test(s) ? s : `'${s.replace(/'/g, `'\\''`)}'`);
