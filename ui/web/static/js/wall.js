// The tensor wall: a row for each layer, a column for each role, a band for each output. Drawn on a canvas, so that
// ten thousand cells cost no more than a few; the arrow keys walk through it, and a legend says it in words.
import { html, useLayoutEffect, useMemo, useRef, useState } from "../vendor/preact.js";
import { exact } from "./format.js";
import { errorColour, tensorBits, typeColour } from "./types.js";

/** @typedef {{name: string, shape?: number[], types: string[], fallback?: boolean, errors?: (number | null)[], note?: string}} Cell */
/** @typedef {{row: number, column: number, x: number, y: number, w: number, h: number, cell: Cell, index: number}} Place */

const order = ["attn_norm", "attn_q", "attn_k", "attn_v", "attn_qkv", "attn_output", "ffn_norm", "ffn_gate_inp", "ffn_gate", "ffn_up", "ffn_down",
  "ffn_gate_exps", "ffn_up_exps", "ffn_down_exps", "ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp"];
/** @type {Record<string, string>} */
const names = {
  attn_q: "q", attn_k: "k", attn_v: "v", attn_qkv: "qkv", attn_output: "o", ffn_gate: "gate", ffn_up: "up", ffn_down: "down", ffn_gate_exps: "gate ×", ffn_up_exps: "up ×",
  ffn_down_exps: "down ×", ffn_gate_inp: "router", ffn_gate_shexp: "gate s", ffn_up_shexp: "up s", ffn_down_shexp: "down s", token_embd: "token embedding", output: "output",
};

/** Sorts tensors into rows and columns. @param {Cell[]} cells */
export function arrange(cells) {
  /** @type {Map<string, {stack: string, layer: number, roles: Map<string, number>}>} */
  const layers = new Map();
  /** @type {Map<string, boolean>} role to whether it is a matrix */
  const roles = new Map();
  /** @type {number[]} */
  const before = [], after = [];
  const first = cells.findIndex((c) => block.test(c.name));
  cells.forEach((c, i) => {
    const m = block.exec(c.name);
    if (!m) {
      (/^(token|pos|per_layer|rope)/.test(c.name) || (i < first && !c.name.startsWith("output")) ? before : after).push(i);
      return;
    }
    const key = `${m[1] ?? ""}${m[2]}`;
    if (!layers.has(key)) layers.set(key, { stack: m[1] ?? "", layer: Number(m[2]), roles: new Map() });
    layers.get(key)?.roles.set(m[3], i);
    roles.set(m[3], (roles.get(m[3]) ?? false) || wide(c));
  });
  const place = (/** @type {string} */ r) => { const i = order.indexOf(r); return i < 0 ? order.length : i; };
  const columns = [...roles.keys()].sort((a, b) => place(a) - place(b) || a.localeCompare(b));
  return { layers: [...layers].sort(([, a], [, b]) => a.stack.localeCompare(b.stack) || a.layer - b.layer), columns, matrix: columns.map((c) => roles.get(c) ?? false), before, after };
}

/** A tensor of a layer; some models have several stacks of them: enc.blk.0, v.blk.0. */
const block = /^(?:(\w+)\.)?blk\.(\d+)\.(.+?)(\.weight)?$/;

const wide = (/** @type {Cell} */ c) => (c.shape ? c.shape.filter((n) => n > 1).length > 1 : !/norm|bias/.test(c.name));

const gutter = 28, head = 20, space = 3;

/** @param {Cell[]} cells @param {number} width @param {boolean} compact */
function layout(cells, width, compact) {
  const a = arrange(cells);
  const rows = a.layers.length + (a.before.length ? 1 : 0) + (a.after.length ? 1 : 0);
  const h = Math.round(Math.min(compact ? 16 : 26, Math.max(compact ? 4 : 7, (compact ? 200 : 480) / Math.max(1, rows))));
  const pitch = h + (h > 8 ? space : 1);
  const room = width - gutter;
  /** @type {Place[]} */
  const places = [];
  let y = head, row = 0;
  const special = (/** @type {number[]} */ list) => {
    if (!list.length) return;
    const thin = list.map((i) => !wide(cells[i]));
    const small = Math.min(24, room / 8), rest = (room - thin.filter(Boolean).length * small) / Math.max(1, thin.filter((t) => !t).length);
    let x = gutter;
    list.forEach((i, k) => {
      const w = thin[k] ? small : rest;
      places.push({ row, column: k, x, y, w: Math.max(1, w - space), h, cell: cells[i], index: i });
      x += w;
    });
    row++;
    y += pitch;
  };
  special(a.before);
  const units = a.matrix.reduce((n, m) => n + (m ? 1 : 0.36), 0) || 1;
  const unit = room / units;
  const xs = [];
  let x = gutter;
  for (const m of a.matrix) { xs.push({ x, w: Math.max(1, unit * (m ? 1 : 0.36) - space) }); x += unit * (m ? 1 : 0.36); }
  const labels = [];
  for (const [name, { roles }] of a.layers) {
    labels.push({ y: y + h / 2, text: name, row });
    a.columns.forEach((c, k) => {
      const i = roles.get(c);
      if (i !== undefined) places.push({ row, column: k, x: xs[k].x, y, w: xs[k].w, h, cell: cells[i], index: i });
    });
    row++;
    y += pitch;
  }
  special(a.after);
  const every = Math.max(1, Math.ceil(12 / pitch));
  return {
    places, height: y + 2, h, labels: labels.filter((_, i) => i % every === 0),
    heads: a.columns.map((c, k) => ({ x: xs[k].x + xs[k].w / 2, w: xs[k].w, text: a.matrix[k] ? names[c] ?? c : "" })),
  };
}

/**
 * @param {{cells: Cell[], outputs: string[], done?: number, current?: number, mode?: "types" | "errors", compact?: boolean, label: string, legend?: boolean, pick?: (cell: Cell) => void, picked?: string}} p
 * pick: told of the cell that was clicked, or chosen by Enter; picked: its name. done: so many cells are finished, from the first; all where it is left out. current: the one that is worked on.
 */
export function Wall({ cells, outputs, done, current = -1, mode = "types", compact = false, label, legend = true, pick: choose, picked }) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const canvas = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const tip = useRef(/** @type {HTMLDivElement | null} */ (null));
  const breath = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [width, setWidth] = useState(0);
  const [at, setAt] = useState(-1);
  const [scheme, setScheme] = useState(0);
  useLayoutEffect(() => {
    if (!box.current) return;
    const measure = new ResizeObserver((list) => setWidth(Math.floor(list[0].contentRect.width)));
    measure.observe(box.current);
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const flip = () => setScheme((n) => n + 1);
    dark.addEventListener("change", flip);
    return () => { measure.disconnect(); dark.removeEventListener("change", flip); };
  }, []);
  const plan = useMemo(() => (width ? layout(cells, width, compact) : null), [cells, width, compact]);

  useLayoutEffect(() => {
    const c = canvas.current;
    if (!plan || !c) return;
    const scale = devicePixelRatio || 1;
    c.width = width * scale;
    c.height = plan.height * scale;
    c.style.width = `${width}px`;
    c.style.height = `${plan.height}px`;
    const g = /** @type {CanvasRenderingContext2D} */ (c.getContext("2d"));
    const style = getComputedStyle(c);
    const token = (/** @type {string} */ n) => style.getPropertyValue(n).trim();
    const muted = token("--muted"), empty = token("--empty"), mono = token("--mono");
    g.scale(scale, scale);
    g.clearRect(0, 0, width, plan.height);
    g.textBaseline = "middle";
    g.font = `11px ${mono}`;
    g.fillStyle = muted;
    g.textAlign = "right";
    for (const l of plan.labels) g.fillText(l.text, gutter - 6, l.y + 0.5);
    g.textAlign = "center";
    for (const l of plan.heads) if (l.text && g.measureText(l.text).width < l.w + 8) g.fillText(l.text, l.x, head / 2);
    for (const p of plan.places) {
      const filled = done === undefined || p.index < done;
      const n = Math.max(1, outputs.length), band = p.w / n;
      for (let i = 0; i < n; i++) {
        const x = p.x + i * band, w = Math.max(0.5, band);
        const type = p.cell.types[i];
        const error = p.cell.errors?.[i];
        const colour = mode === "errors" ? (error == null ? { fill: empty, ink: muted } : errorColour(error)) : typeColour(type);
        g.fillStyle = filled ? colour.fill : empty;
        g.fillRect(x, p.y, w, p.h);
        if (!filled) continue;
        if (mode === "types" && p.cell.fallback) hatch(g, x, p.y, w, p.h, colour.ink);
        const text = mode === "errors" ? (error == null ? "" : `${Number((error * 100).toPrecision(2))}%`) : type;
        if (text && p.h >= 14 && w > 8) {
          g.font = `10px ${mono}`;
          const room = g.measureText(text).width;
          if (room + 4 <= w) {
            g.fillStyle = colour.ink;
            g.fillText(text, x + w / 2, p.y + p.h / 2 + 0.5);
          }
        }
      }
    }
    for (const p of plan.places) {
      if (p !== plan.places[at] && p.cell.name !== picked) continue;
      g.strokeStyle = token("--ink");
      g.lineWidth = 2;
      g.strokeRect(p.x - 1, p.y - 1, p.w + 2, p.h + 2);
    }
  }, [plan, cells, outputs, done, mode, at, scheme, width, picked]);

  useLayoutEffect(() => { // the cell that is worked on breathes
    const p = plan?.places.find((q) => q.index === current), b = breath.current;
    if (!b) return;
    b.hidden = !p;
    if (p) Object.assign(b.style, { left: `${p.x}px`, top: `${p.y}px`, width: `${p.w}px`, height: `${p.h}px` });
  }, [plan, current]);

  const place = at >= 0 ? plan?.places[at] : undefined;
  useLayoutEffect(() => {
    const t = tip.current;
    if (!t || !place) return;
    const w = t.offsetWidth;
    t.style.left = `${Math.max(0, Math.min(width - w, place.x + place.w / 2 - w / 2))}px`;
    t.style.top = `${place.y + place.h + 6}px`;
  }, [place, width]);

  const pick = (/** @type {PointerEvent} */ e) => {
    const r = canvas.current?.getBoundingClientRect();
    if (!plan || !r) return;
    const x = e.clientX - r.left, y = e.clientY - r.top;
    setAt(plan.places.findIndex((p) => x >= p.x && x < p.x + p.w + space && y >= p.y && y < p.y + p.h + space));
  };
  const key = (/** @type {KeyboardEvent} */ e) => {
    if (!plan?.places.length) return;
    const p = plan.places[Math.max(0, at)];
    const centre = p.x + p.w / 2;
    const near = (/** @type {number} */ row) => {
      let best = -1, distance = Infinity;
      plan.places.forEach((q, i) => { const d = Math.abs(q.x + q.w / 2 - centre); if (q.row === row && d < distance) { best = i; distance = d; } });
      return best;
    };
    const last = plan.places[plan.places.length - 1].row;
    /** @type {Record<string, () => number>} */
    const moves = {
      ArrowRight: () => Math.min(plan.places.length - 1, at + 1), ArrowLeft: () => Math.max(0, at - 1), ArrowDown: () => near(Math.min(last, p.row + 1)),
      ArrowUp: () => near(Math.max(0, p.row - 1)), Home: () => 0, End: () => plan.places.length - 1, Escape: () => -1,
    };
    if ((e.key === "Enter" || e.key === " ") && choose && at >= 0) {
      e.preventDefault();
      choose(plan.places[at].cell);
      return;
    }
    const move = moves[e.key];
    if (!move) return;
    e.preventDefault();
    setAt(at < 0 && e.key !== "Escape" ? 0 : move());
  };

  return html`<figure class=${`wall ${compact ? "compact" : ""}`}>
    <div class="wall-box" ref=${box}>
      <canvas ref=${canvas} tabindex="0" role="img" aria-label=${`${label}. ${words(cells, outputs, done, mode)} Arrow keys go from cell to cell${choose ? ", Enter shows more of one" : ""}.`}
        onClick=${() => { if (choose && plan?.places[at]) choose(plan.places[at].cell); }}
        onPointerMove=${pick} onPointerDown=${pick} onPointerLeave=${() => setAt(-1)} onKeyDown=${key} onBlur=${() => setAt(-1)}></canvas>
      <div class="breath" ref=${breath} hidden></div>
      ${place && html`<div class="tip" ref=${tip}><${About} cell=${place.cell} outputs=${outputs} mode=${mode} /></div>`}
    </div>
    <div class="unseen" aria-live="polite">${place ? spoken(place.cell, outputs, mode) : ""}</div>
    ${legend && html`<${Legend} cells=${cells} mode=${mode} outputs=${outputs} />`}
  </figure>`;
}

/** @param {CanvasRenderingContext2D} g @param {number} x @param {number} y @param {number} w @param {number} h @param {string} ink */
function hatch(g, x, y, w, h, ink) {
  g.save();
  g.beginPath();
  g.rect(x, y, w, h);
  g.clip();
  g.strokeStyle = ink;
  g.globalAlpha = 0.45;
  g.lineWidth = 1;
  g.beginPath();
  for (let k = -h; k < w; k += 5) { g.moveTo(x + k, y + h); g.lineTo(x + k + h, y); }
  g.stroke();
  g.restore();
}

const sizeOf = (/** @type {Cell} */ c) => (c.shape ? c.shape.map((n) => exact(n)).join(" × ") : "");

/** @param {Cell} c @param {string[]} outputs @param {string} mode */
const spoken = (c, outputs, mode) => `${c.name}, ${sizeOf(c)}. ${outputs.map((o, i) => `${o}: ${mode === "errors" ? `${((c.errors?.[i] ?? 0) * 100).toPrecision(2)} percent` : c.types[i]}`).join(", ")}${c.fallback ? ". Falls back to another type because of its width" : ""}`;

/** @param {{cell: Cell, outputs: string[], mode: string}} p */
function About({ cell, outputs, mode }) {
  return html`<strong>${cell.name}</strong>
    <div class="faint">${sizeOf(cell)}</div>
    <table><tbody>${outputs.map((o, i) => html`<tr><th>${o}</th><td>${cell.types[i]}</td><td>${mode === "errors"
    ? (cell.errors?.[i] == null ? "as in the source" : `${Number((cell.errors[i] * 100).toPrecision(2))} % off`)
    : `${tensorBits[cell.types[i]] ?? "?"} bits`}</td></tr>`)}</tbody></table>
    ${cell.fallback && html`<div>Hatched: ${cell.note ?? "its width does not fit the type that it should have"}</div>`}`;
}

/** Types with the number of their tensors, most bits first. @param {Cell[]} cells @param {number} output */
export function histogram(cells, output) {
  /** @type {Map<string, number>} */
  const n = new Map();
  for (const c of cells) if (c.types[output]) n.set(c.types[output], (n.get(c.types[output]) ?? 0) + 1);
  return [...n].sort((a, b) => (tensorBits[b[0]] ?? 0) - (tensorBits[a[0]] ?? 0));
}

/** @param {Cell[]} cells @param {string[]} outputs @param {number | undefined} done @param {string} mode */
function words(cells, outputs, done, mode) {
  if (mode === "errors") return `${cells.length} tensors by their deviation from the source.`;
  return outputs.map((o, i) => `${o}: ${histogram(cells, i).map(([t, n]) => `${n} ${t}`).join(", ")}.`).join(" ") + (done === undefined ? "" : ` ${Math.min(done, cells.length)} of ${cells.length} done.`);
}

/** @param {{cells: Cell[], mode: string, outputs: string[]}} p */
function Legend({ cells, mode, outputs }) {
  if (mode === "errors") {
    return html`<figcaption class="legend">${[0.001, 0.01, 0.03, 0.1, 0.3].map((e) => html`<span><i style=${{ background: errorColour(e).fill }}></i>${Number((e * 100).toPrecision(2))}${"\u202f"}%</span>`)}
      <span class="faint">deviation from the source, as a share of the spread; blank is unchanged</span></figcaption>`;
  }
  const types = new Map();
  outputs.forEach((_, i) => histogram(cells, i).forEach(([t, n]) => types.set(t, (types.get(t) ?? 0) + n)));
  return html`<figcaption class="legend">
    ${[...types].sort((a, b) => (tensorBits[b[0]] ?? 0) - (tensorBits[a[0]] ?? 0)).map(([t, n]) => html`<span><i style=${{ background: typeColour(t).fill }}></i><b>${t}</b> ${n}</span>`)}
    ${cells.some((c) => c.fallback) && html`<span><i class="hatched"></i>falls back</span>`}
    ${outputs.length > 1 && html`<span class="faint">bands: ${outputs.join(", ")}</span>`}
  </figcaption>`;
}
