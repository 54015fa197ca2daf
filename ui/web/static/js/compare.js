// Files of one model side by side: what each takes, and how far each role is from the source.
import { html, useEffect, useMemo, useState } from "../vendor/preact.js";
import { get, query } from "./api.js";
import { RoleDots, shapes } from "./charts.js";
import { bits, bytes, exact, gib, share } from "./format.js";
import { Failure } from "./parts.js";
import { deviation, errorColour } from "./types.js";
import { Wall } from "./wall.js";

/** @typedef {import("./contract").Variant} Variant */
/** @typedef {{role: string, errors: (number | null)[]}} Role the errors in the order of the files, null where nothing was measured */

/** So many files can be told apart in one picture. */
export const most = shapes.length;

/** @param {{paths: string[], variants: Variant[]}} p */
export function Compare({ paths, variants }) {
  const [known, setKnown] = useState(/** @type {Record<string, Variant>} */ ({}));
  const [error, setError] = useState(/** @type {any} */ (null));
  useEffect(() => {
    for (const path of paths) if (!known[path]) get(`/registry/variant?${query({ ref: path })}`).then((v) => setKnown((k) => ({ ...k, [path]: v })), setError);
  }, [paths]);
  const list = variants.filter((v) => paths.includes(v.path)).map((v) => known[v.path]).filter(Boolean);
  const measured = list.filter((v) => v.tensors?.length);
  const key = list.map((v) => v.path).join("\n");
  const walls = useMemo(() => measured.map((v) => (v.tensors ?? []).map((t) => ({ name: t.name, types: [t.type], errors: [t.rmse > 0 ? deviation(t.cosine) : null] }))), [key]);
  const roles = useMemo(() => byRole(list), [key]);
  if (error) return html`<${Failure} error=${error} />`;
  if (!list.length) return null;
  return html`<section aria-label="Side by side"><h2>Side by side</h2>
      ${list.length < 2 && html`<p class="faint">Tick another file in the list above to compare.</p>`}
      <${Figures} list=${list} />
      ${roles.length > 0 && html`<h3>Deviation by role</h3><${RoleDots} roles=${roles} names=${list.map((v) => v.quantization)} />
        <${Roles} list=${list} roles=${roles} />`}
    </section>
    ${measured.length > 0 && html`<section aria-label="Tensor by tensor"><h2>Tensor by tensor</h2>
      <div class="sidebyside" style=${{ "--n": String(measured.length) }}>${measured.map((v, i) => html`<div key=${v.path}><h3 class="mono">${v.quantization}</h3><${Wall} cells=${walls[i]} outputs=${[v.quantization]} mode="errors" legend=${false} label=${`Deviation of all tensors in ${v.quantization}`} /></div>`)}</div>
      <${Scale} /></section>`}`;
}

/** The head of a table with a column for each file. @param {{list: Variant[], first: string}} p */
const Heads = ({ list, first }) => html`<thead><tr><th>${first}</th>${list.map((v, i) => html`<th class="mono" title=${v.filename} scope="col"><${Mark} i=${i} /> ${v.quantization}</th>`)}</tr></thead>`;

/** The sign of a file in the picture. @param {{i: number}} p */
const Mark = ({ i }) => html`<svg class=${`mark of-${i}`} viewBox="-7 -7 14 14" width="12" height="12" aria-hidden="true"><path d=${shapes[i % shapes.length]} /></svg>`;

/** What each file takes. @param {{list: Variant[]}} p */
function Figures({ list }) {
  const top = (/** @type {(v: Variant) => number} */ of) => Math.max(1e-9, ...list.map(of));
  /** @type {{name: string, of: (v: Variant) => number | null, text: (v: Variant) => any, title?: (v: Variant) => string}[]} */
  const rows = [
    { name: "Size", of: (v) => v.size_bytes, text: (v) => bytes(v.size_bytes), title: (v) => `${exact(v.size_bytes)} bytes` },
    { name: "Bits a weight", of: (v) => v.bits_per_weight, text: (v) => bits(v.bits_per_weight) },
    { name: "Memory in use", of: (v) => v.vram_required_mb, text: (v) => gib(v.vram_required_mb * 2 ** 20) },
    { name: "Deviation", of: (v) => deviation(v.cosine), text: (v) => (v.cosine == null ? "none" : share(deviation(v.cosine) ?? 0)) },
    { name: "Perplexity", of: (v) => v.perplexity, text: (v) => v.perplexity?.toFixed(3) ?? "–" },
    { name: "KL divergence", of: (v) => v.kld, text: (v) => v.kld?.toPrecision(3) ?? "–" },
  ];
  const shown = rows.filter((r) => list.some((v) => r.of(v) != null));
  return html`<div class="scroll" tabindex="0" role="region" aria-label="What each file takes"><table class="versus" style=${{ "--n": String(list.length) }}><caption class="unseen">What each file takes</caption>
    <${Heads} list=${list} first="Figure" />
    <tbody>${shown.map((r) => html`<tr key=${r.name}><th scope="row">${r.name}</th>${list.map((v) => html`<td title=${r.title?.(v)}><span class="meter" aria-hidden="true"><i style=${{ width: `${((r.of(v) ?? 0) / top((w) => r.of(w) ?? 0)) * 100}%` }}></i></span><span class="num">${r.text(v)}</span></td>`)}</tr>`)}</tbody></table></div>`;
}

/** @param {{list: Variant[], roles: Role[]}} p */
const Roles = ({ list, roles }) => html`<div class="scroll" tabindex="0" role="region" aria-label="Deviation by role"><table class="versus roles" style=${{ "--n": String(list.length) }}><caption class="unseen">Deviation by role</caption>
  <${Heads} list=${list} first="Role" />
  <tbody>${roles.map((r) => html`<tr key=${r.role}><th scope="row" class="mono">${r.role}</th>${r.errors.map((e) => html`<td>${e == null ? html`<span class="faint">unchanged</span>` : html`<i class="swatch" style=${{ background: errorColour(e).fill }}></i> <span class="num">${share(e)}</span>`}</td>`)}</tr>`)}</tbody></table></div>`;

const Scale = () => html`<p class="legend">${[0.001, 0.01, 0.03, 0.1, 0.3].map((e) => html`<span><i style=${{ background: errorColour(e).fill }}></i>${Number((e * 100).toPrecision(2))}${"\u202f"}%</span>`)}<span class="faint">deviation from the source, as a share of the spread; blank is unchanged</span></p>`;

/** The mean deviation of each role in each file, the worst role first. @param {Variant[]} list @returns {Role[]} */
export function byRole(list) {
  /** @type {Map<string, number[][]>} */
  const roles = new Map();
  list.forEach((v, i) => v.tensors?.forEach((t) => {
    if (!(t.rmse > 0)) return;
    const role = t.name.replace(/^(\w+\.)?blk\.\d+\./, "$1").replace(/\.weight$/, "");
    if (!roles.has(role)) roles.set(role, list.map(() => []));
    roles.get(role)?.[i].push(deviation(t.cosine) ?? 0);
  }));
  const mean = (/** @type {number[]} */ l) => (l.length ? l.reduce((a, b) => a + b, 0) / l.length : null);
  const worst = (/** @type {Role} */ r) => Math.max(...r.errors.map((e) => e ?? 0));
  return [...roles].map(([role, l]) => ({ role, errors: l.map(mean) })).sort((a, b) => worst(b) - worst(a) || a.role.localeCompare(b.role));
}
