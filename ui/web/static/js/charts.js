// The other pictures: size against quality, throughput, disk.
import { html, useLayoutEffect, useRef, useState } from "../vendor/preact.js";
import { bytes, duration, rate, share } from "./format.js";

/** The width of an element, kept true. */
function useWidth() {
  const ref = useRef(/** @type {HTMLElement | null} */ (null));
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    if (!ref.current) return;
    const o = new ResizeObserver((list) => setWidth(Math.floor(list[0].contentRect.width)));
    o.observe(ref.current);
    return () => o.disconnect();
  }, []);
  return /** @type {const} */ ([ref, width]);
}

/** @typedef {{type: string, bytes: number, error: number, picked: boolean, recommended?: boolean, fits?: boolean, note?: string}} Point */

/**
 * One point for each type: further left is smaller, higher up is closer to the source.
 * @param {{points: Point[], budget?: number, pick?: (type: string) => void, label: string, measured?: boolean}} p budget: bytes that the file may have
 */
export function SizeQuality({ points, budget, pick, label, measured }) {
  const [ref, width] = useWidth();
  const W = Math.max(280, width), H = W < 500 ? 260 : 300;
  const left = 52, right = 16, top = 16, bottom = 36;
  const list = points.filter((p) => p.bytes > 0);
  if (!list.length) return html`<div ref=${ref}></div>`;
  const floor = 0.002;
  const errors = list.map((p) => Math.max(floor, p.error));
  const sizes = list.map((p) => p.bytes);
  const x0 = Math.log2(Math.min(...sizes)) - 0.18, x1 = Math.log2(Math.max(...sizes)) + 0.18;
  const y0 = Math.log10(Math.min(...errors)) - 0.15, y1 = Math.log10(Math.max(...errors)) + 0.15;
  const X = (/** @type {number} */ b) => left + ((Math.log2(b) - x0) / (x1 - x0)) * (W - left - right);
  const Y = (/** @type {number} */ e) => top + ((Math.log10(Math.max(floor, e)) - y0) / (y1 - y0)) * (H - top - bottom);
  // the best for their size
  const frontier = [...list].sort((a, b) => a.bytes - b.bytes).filter((p, _, all) => !all.some((q) => q !== p && q.bytes <= p.bytes && q.error < p.error));
  /** @type {number[]} */
  const ticks = [];
  for (let power = Math.floor(Math.log10(2 ** x0)); 10 ** power <= 2 ** x1; power++) {
    for (const n of x1 - x0 < 2.5 ? [1, 1.5, 2, 3, 4, 5, 7] : [1, 2, 5]) {
      const b = n * 10 ** power, last = ticks[ticks.length - 1];
      if (Math.log2(b) > x0 && Math.log2(b) < x1 && (!last || X(b) - X(last) > 56)) ticks.push(b);
    }
  }
  const labels = placed(list, X, Y, W, H - bottom);
  const limit = budget && budget > 0 ? X(budget) : 0;
  return html`<div class="chart" ref=${ref}>
    ${width > 0 && html`<svg viewBox=${`0 0 ${W} ${H}`} width=${W} height=${H} role="group" aria-label=${label}>
      ${limit > 0 && limit < W - right && html`<g class="beyond"><rect x=${Math.max(left, limit)} y=${top} width=${W - right - Math.max(left, limit)} height=${H - top - bottom} />
        <line x1=${Math.max(left, limit)} x2=${Math.max(left, limit)} y1=${top} y2=${H - bottom} /><text x=${Math.min(W - right - 60, Math.max(left, limit) + 6)} y=${H - bottom - 8}>too big</text></g>`}
      <g class="axis">
        <line x1=${left} x2=${W - right} y1=${H - bottom} y2=${H - bottom} />
        ${ticks.map((b) => html`<text x=${X(b)} y=${H - bottom + 16} text-anchor="middle">${bytes(b)}</text>`)}
        ${[0.003, 0.01, 0.03, 0.1, 0.3].filter((e) => Math.log10(e) > y0 && Math.log10(e) < y1).map((e) => html`<g><line class="grid" x1=${left} x2=${W - right} y1=${Y(e)} y2=${Y(e)} /><text x=${left - 8} y=${Y(e) + 4} text-anchor="end">${share(e).replace(".0", "")}</text></g>`)}
        ${list.some((p) => p.error < floor) && html`<text x=${left - 8} y=${Y(floor) + 4} text-anchor="end">none</text>`}
        <text class="faint" x=${W - right} y=${H - 4} text-anchor="end">size of the file →</text>
        <text class="faint" x=${left + 6} y=${top + 2}>↑ closer to the source${measured ? "" : " (expected)"}</text>
      </g>
      <path class="frontier" d=${"M" + frontier.map((p) => `${X(p.bytes)} ${Y(p.error)}`).join("L")} />
      ${list.map((p) => html`<g class=${`point ${p.picked ? "picked" : ""} ${p.recommended ? "recommended" : ""} ${p.fits === false ? "misfit" : ""}`}
        role=${pick ? "checkbox" : "img"} aria-checked=${pick ? String(p.picked) : undefined} tabindex=${pick ? 0 : undefined} aria-label=${`${p.type}, ${bytes(p.bytes)}, deviation ${share(p.error)}${p.recommended ? ", recommended" : ""}${p.fits === false ? ", too big" : ""}`}
        onClick=${() => pick?.(p.type)} onKeyDown=${(/** @type {KeyboardEvent} */ e) => { if (pick && (e.key === " " || e.key === "Enter")) { e.preventDefault(); pick(p.type); } }}>
        <title>${p.type}: ${bytes(p.bytes)}, deviation ${share(p.error)}</title>
        <circle class="target" cx=${X(p.bytes)} cy=${Y(p.error)} r="12" />
        <circle cx=${X(p.bytes)} cy=${Y(p.error)} r=${p.picked ? 7 : 5} />
      </g>`)}
      ${labels.map((l) => html`<text class=${`name ${l.strong ? "strong" : ""}`} x=${l.x} y=${l.y} text-anchor=${l.anchor} aria-hidden="true">${l.text}</text>`)}
    </svg>`}
  </div>`;
}

/**
 * Puts names beside points where there is room, the important ones first.
 * @param {Point[]} list @param {(b: number) => number} X @param {(e: number) => number} Y @param {number} W @param {number} H
 */
function placed(list, X, Y, W, H) {
  /** @type {{x: number, y: number, w: number}[]} */
  const boxes = list.map((p) => ({ x: X(p.bytes) - 7, y: Y(p.error) - 7, w: 14 }));
  const out = [];
  const rank = (/** @type {Point} */ p) => (p.picked ? 0 : p.recommended ? 1 : /_M$|^Q8_0$|^Q6_K$|^Q2_K$|^BF16$/.test(p.type) ? 2 : 3);
  for (const p of [...list].sort((a, b) => rank(a) - rank(b))) {
    const w = p.type.length * 7.2, x = X(p.bytes), y = Y(p.error);
    for (const [lx, ly, anchor] of /** @type {[number, number, string][]} */ ([[x + 11, y - 7, "start"], [x - 11 - w, y - 7, "end"], [x - w / 2, y - 24, "middle"], [x - w / 2, y + 10, "middle"]])) {
      const free = lx >= 46 && lx + w <= W - 2 && ly > 2 && ly + 14 < H && !boxes.some((b) => b.x < lx + w && b.x + b.w > lx && b.y < ly + 14 && b.y + 14 > ly);
      if (!free) continue;
      boxes.push({ x: lx, y: ly, w });
      out.push({ text: p.type, strong: p.picked || p.recommended, anchor, x: anchor === "start" ? lx : anchor === "end" ? lx + w : lx + w / 2, y: ly + 11 });
      break;
    }
  }
  return out;
}

/** Signs that are told apart without colour: disc, square, triangle, diamond, cross, star of three. */
export const shapes = ["M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0Z", "M-4.5-4.5h9v9h-9Z", "M0-5.5L5.5 4.5h-11Z", "M0-6L6 0L0 6L-6 0Z", "M-2-5.5h4v3.5h3.5v4H2v3.5h-4V2h-3.5v-4H-2Z", "M0 5.5L-5.5-4.5h11Z"];

/**
 * A line for each role and a sign for each file upon it: further right is further from the source.
 * @param {{roles: {role: string, errors: (number | null)[]}[], names: string[]}} p
 */
export function RoleDots({ roles, names }) {
  const [ref, width] = useWidth();
  const W = Math.max(280, Math.min(1120, width)), pitch = 24, top = 28, H = top + roles.length * pitch + 8;
  const left = Math.min(W * 0.4, 16 + 7.4 * Math.max(...roles.map((r) => r.role.length))), right = 16;
  const all = roles.flatMap((r) => r.errors).filter((e) => e != null && e > 0).map(Number);
  if (!all.length) return html`<div ref=${ref}></div>`;
  const x0 = Math.log10(Math.min(...all)) - 0.1, x1 = Math.log10(Math.max(...all)) + 0.1;
  const X = (/** @type {number} */ e) => left + ((Math.log10(e) - x0) / (x1 - x0)) * (W - left - right);
  /** @type {number[]} */
  const ticks = [];
  for (let power = Math.floor(x0); power <= x1; power++) for (const n of [1, 2, 5]) {
    const e = n * 10 ** power, last = ticks[ticks.length - 1];
    if (Math.log10(e) >= x0 && Math.log10(e) <= x1 && (!last || X(e) - X(last) > 48)) ticks.push(e);
  }
  return html`<div class="chart dots" ref=${ref}>
    <p class="legend">${names.map((n, i) => html`<span><svg class=${`mark of-${i}`} viewBox="-7 -7 14 14" width="14" height="14" aria-hidden="true"><path d=${shapes[i % shapes.length]} /></svg><b>${n}</b></span>`)}<span class="faint">further left is closer to the source</span></p>
    ${width > 0 && html`<svg viewBox=${`0 0 ${W} ${H}`} width=${W} height=${H} role="img" aria-label=${`Deviation by role of ${names.join(", ")}; the table below has the numbers`}>
      <g class="axis">${ticks.map((e) => html`<g><line class="grid" x1=${X(e)} x2=${X(e)} y1=${top - 8} y2=${H - 4} /><text x=${X(e)} y="12" text-anchor="middle">${share(e).replace(".0", "")}</text></g>`)}</g>
      ${roles.map((r, k) => {
    const y = top + (k + 0.5) * pitch, there = r.errors.filter((e) => e != null && e > 0).map(Number);
    return html`<g><text class="role" x="0" y=${y + 4}>${short(r.role, left - 8)}</text>
        ${there.length > 1 && html`<line class="span" x1=${X(Math.min(...there))} x2=${X(Math.max(...there))} y1=${y} y2=${y} />`}
        ${r.errors.map((e, i) => e != null && e > 0 && html`<g class=${`mark of-${i}`} transform=${`translate(${X(e)} ${y})`}><title>${r.role}, ${names[i]}: ${share(e)}</title><path d=${shapes[i % shapes.length]} /></g>`)}</g>`;
  })}
    </svg>`}
  </div>`;
}

/** As much of a name as so many pixels hold. @param {string} s @param {number} room */
const short = (s, room) => (s.length * 7.4 <= room ? s : `${s.slice(0, Math.max(1, Math.floor(room / 7.4) - 1))}…`);

/** @typedef {{t: number, v: number, stage: string}} Sample t: seconds, v: bytes a second */

/** What a stage is called in the picture. @type {Record<string, string>} */
const stageNames = { downloading: "Download", preparing: "Prepare", quantizing: "Quantize", verifying: "Read back" };

/** A round number that is not below x: 1, 2 or 5 times a power of ten. @param {number} x */
const roundUp = (x) => { const p = 10 ** Math.floor(Math.log10(x)); return ([1, 2, 5].find((n) => n * p >= x * (1 - 1e-9)) ?? 10) * p; };

/** Bytes a second over time, with both axes named and the stages shaded. @param {{samples: Sample[], over: boolean}} p */
export function Throughput({ samples, over }) {
  const [ref, width] = useWidth();
  const W = Math.max(280, width), H = 176, left = 76, right = 16, top = 24, base = H - 40;
  const draw = samples.length > 1 && samples.some((s) => s.v > 0) && samples[samples.length - 1].t - samples[0].t >= 1;
  if (!draw) return html`<div class="chart spark" ref=${ref}><p class="faint">${over ? "It was over before a rate could be measured." : "A rate is drawn after the first second."}</p></div>`;
  const t0 = samples[0].t, span = samples[samples.length - 1].t - t0;
  const most = Math.max(...samples.map((s) => s.v)), step = roundUp(most / 3), high = step * Math.ceil(most / step);
  const X = (/** @type {number} */ t) => left + ((t - t0) / span) * (W - left - right), Y = (/** @type {number} */ v) => base - (v / high) * (base - top);
  const every = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400].find((n) => (n / span) * (W - left - right) >= 88) ?? span;
  const times = Array.from({ length: Math.floor(span / every) + 1 }, (_, i) => i * every);
  /** @type {{stage: string, from: number, to: number}[]} */
  const stages = [];
  for (const s of samples) {
    const last = stages[stages.length - 1];
    if (last && last.stage === s.stage) last.to = s.t;
    else { if (last) last.to = s.t; stages.push({ stage: s.stage, from: s.t, to: s.t }); }
  }
  const name = (/** @type {string} */ s) => stageNames[s] ?? s;
  return html`<div class="chart spark" ref=${ref}>${width > 0 && html`<svg viewBox=${`0 0 ${W} ${H}`} width=${W} height=${H} role="img"
      aria-label=${`Throughput over ${duration(span)}: most ${rate(most)}, ${over ? "at the end" : "now"} ${rate(samples[samples.length - 1].v)}. ${stages.map((s) => `${name(s.stage)} ${duration(s.to - s.from)}`).join(", ")}.`}>
      ${stages.map((s) => html`<g class=${`stage ${s.stage}`}><rect x=${X(s.from)} y=${top} width=${Math.max(1, X(s.to) - X(s.from))} height=${base - top} /><title>${name(s.stage)}, ${duration(s.to - s.from)}</title>
        ${X(s.to) - X(s.from) > 7 * name(s.stage).length + 8 && html`<text x=${X(s.from) + 4} y=${top - 6}>${name(s.stage)}</text>`}</g>`)}
      <g class="axis">${Array.from({ length: Math.round(high / step) + 1 }, (_, i) => html`<g><line class="grid" x1=${left} x2=${W - right} y1=${Y(i * step)} y2=${Y(i * step)} /><text x=${left - 8} y=${Y(i * step) + 4} text-anchor="end">${i ? rate(i * step).replace(/\.0+(?=\D)/, "") : "0"}</text></g>`)}
        ${times.map((t) => html`<g><line x1=${X(t0 + t)} x2=${X(t0 + t)} y1=${base} y2=${base + 4} /><text x=${X(t0 + t)} y=${base + 18} text-anchor="middle">${t ? duration(t) : "0"}</text></g>`)}
        <line x1=${left} x2=${W - right} y1=${base} y2=${base} />
        <text x=${W - right} y=${H - 4} text-anchor="end">time since the start →</text></g>
      <path class="area" d=${`M${X(t0)} ${base}L${samples.map((s) => `${X(s.t)} ${Y(s.v)}`).join("L")}L${X(t0 + span)} ${base}Z`} />
      <path class="line" d=${`M${samples.map((s) => `${X(s.t)} ${Y(s.v)}`).join("L")}`} />
    </svg>
    <p class="legend">${[...new Set(stages.map((s) => s.stage))].map((s) => html`<span><i class=${`stage ${s}`}></i>${name(s)}</span>`)}<span class="faint num">most ${rate(most)}, in ${duration(span)}</span></p>`}</div>`;
}

/** One disk as a bar: what is used, this job's files, a download that stays in the cache, what is free afterwards. @param {{disk?: number, free: number, files: number, download: number}} p */
export function Disk({ disk = 0, free, files, download }) {
  const need = files + download, over = need > free, used = Math.max(0, disk - free);
  const part = (/** @type {number} */ n) => ({ width: `${(n / Math.max(disk, used + free, used + need, 1)) * 100}%` });
  return html`<div class=${`disk ${over ? "over" : ""}`}>
    <div class="disk-bar" aria-hidden="true"><span class="used" style=${part(used)}></span>${files > 0 && html`<span class="files" style=${part(files)}></span>`}<span class="download" style=${part(download)}></span></div>
    <p>${over
    ? html`<strong>Needs ${bytes(need)}, and ${bytes(free)} are free: ${bytes(need - free)} are missing.</strong>`
    : !need ? html`${disk ? `${bytes(used)} of ${bytes(disk)} are used, ` : ""}${bytes(free)} are free.` : html`Writes ${bytes(files)}${download ? `, downloads ${bytes(download)}` : ""}. ${bytes(free)} are free now, ${bytes(free - need)} afterwards.`}</p>
  </div>`;
}
