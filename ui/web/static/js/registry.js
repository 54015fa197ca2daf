// Finished models: what there is, what fits, and which variant is better where.
import { effect, html, signal, useEffect, useState } from "../vendor/preact.js";
import { get, modelPath, query, remove } from "./api.js";
import { SizeQuality } from "./charts.js";
import { Compare, most } from "./compare.js";
import { budget } from "./draft.js";
import { bits, bytes, count, exact, gib, share, shell, weights, when } from "./format.js";
import { inspectLink } from "./inspect.js";
import { newestFirst } from "./live.js";
import { ask, Command, Copy, Failure, Loading, Notice, say } from "./parts.js";
import { Rate, RateQuickly } from "./rating.js";
import { go, Link } from "./router.js";
import { bitsColour, deviation } from "./types.js";
import { Verify } from "./verify.js";

/** @typedef {import("./contract").Model} Model */
/** @typedef {import("./contract").Variant} Variant */

const search = signal("");
const fitting = signal(false);
/** How models are shown, kept in this browser. */
const layout = signal(localStorage.getItem("registry") === "table" ? "table" : "cards");
effect(() => localStorage.setItem("registry", layout.value));

/** Loads again when a job is completed. */
const finished = () => newestFirst.value.filter((j) => j.status === "completed").length;

export const link = (/** @type {string} */ id) => `/registry/${id.split("/").map(encodeURIComponent).join("/")}`;

export function Registry() {
  const [list, setList] = useState(/** @type {{models: Model[], total: number} | null} */ (null));
  const [stats, setStats] = useState(/** @type {any} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [again, setAgain] = useState(0);
  const fits = fitting.value ? Math.round(budget.value * 2 ** 30) : "";
  useEffect(() => {
    const stop = new AbortController();
    const timer = setTimeout(() => Promise.all([
      get(`/registry/models?${query({ limit: 200, search: search.value, fits_bytes: fits })}`, stop.signal), get("/registry/stats", stop.signal),
    ]).then(([l, s]) => { setList(l); setStats(s); setError(null); }, (e) => { if (!stop.signal.aborted) setError(e); }), list ? 200 : 0);
    return () => { clearTimeout(timer); stop.abort(); };
  }, [search.value, fits, finished(), again]);
  const rated = (/** @type {string} */ id) => (/** @type {import("./contract").Rating} */ rating) => setList((l) => l && { ...l, models: l.models.map((m) => (m.id === id ? { ...m, rating } : m)) });
  const filtered = search.value !== "" || fitting.value;
  return html`<main>
    <div class="title"><h1 tabindex="-1">Registry</h1>${stats && stats.total_variants > 0 && html`<p class="faint num">${count(stats.total_models, "model")}, ${count(stats.total_variants, "file")}, ${bytes(stats.total_bytes)}${stats.missing ? `, ${stats.missing} missing` : ""}</p>`}</div>
    ${error && html`<${Failure} error=${error}><button type="button" onClick=${() => setAgain(again + 1)}>Try again</button><//>`}
    ${!list && !error && html`<${Loading} lines=${4} label="Loading the models" />`}
    ${list && (list.models.length > 0 || filtered) && html`<div class="tools">
      <div class="tabs" role="group" aria-label="How models are shown">${[["cards", "Cards"], ["table", "Table"]].map(([k, label]) => html`<button type="button" aria-pressed=${String(layout.value === k)} onClick=${() => { layout.value = k; }}>${label}</button>`)}</div>
      <label class="unseen" for="model-search">Search in models</label>
      <input id="model-search" type="search" placeholder="Search name, path, architecture" value=${search.value} onInput=${(/** @type {any} */ e) => { search.value = e.target.value; }} />
      <label class="check"><input type="checkbox" checked=${fitting.value} onChange=${(/** @type {any} */ e) => { fitting.value = e.target.checked; }} /><span>Only what fits into</span></label>
      <label class="unseen" for="fit-budget">Memory in GiB</label>
      <span class="row"><input id="fit-budget" class="narrow" type="number" min="1" step="1" value=${budget.value} onInput=${(/** @type {any} */ e) => { const n = Number(e.target.value); if (n > 0) budget.value = n; }} /> GiB</span>
    </div>`}
    ${list && list.models.length === 0 && (filtered ? html`<div class="empty"><p>No model is like that.</p><button type="button" class="quiet" onClick=${() => { search.value = ""; fitting.value = false; }}>Show all</button></div>`
    : html`<div class="empty"><h2>No models yet</h2><p>Every file that a job finishes is listed here, with its size and how far it is from its source.</p><${Link} href="/quantization" class="button primary">New job<//></div>`)}
    ${list && list.models.length > 0 && (layout.value === "table" ? html`<${Variants} rated=${rated} list=${list.models.flatMap((m) => m.variants.map((v) => ({ model: m, v })))} />`
    : html`<ul class="plain models">${list.models.map((m) => html`<li key=${m.id}><${ModelCard} model=${m} rated=${rated(m.id)} /></li>`)}</ul>`)}
  </main>`;
}

/** @typedef {{model: Model, v: Variant}} Row */

/** @param {{list: Row[], rated?: (id: string) => (r: import("./contract").Rating) => void, picked?: string[], pick?: (path: string) => void}} p rated: name and rate the model in each row */
const Variants = ({ list, rated, picked, pick }) => html`<div class="scroll" tabindex="0" role="region" aria-label="Files"><table class="table fold">
  <thead><tr>${pick && html`<th>Compare</th>`}${rated && html`<th>Model</th>`}<th>Type</th><th class="right">Size</th><th class="right">Bits a weight</th><th class="right">Deviation</th><th class="right">Memory in use</th>${rated && html`<th>Model’s rating</th>`}${pick && html`<th>SHA-256</th>`}<th></th></tr></thead>
  <tbody>${list.map(({ model, v }) => html`<tr key=${v.path} class=${v.missing ? "gone" : ""}>
    ${pick && html`<td class="compare" data-label="Compare"><input type="checkbox" aria-label=${`Compare ${v.quantization}`} checked=${picked?.includes(v.path)} disabled=${!picked?.includes(v.path) && (picked?.length ?? 0) >= most} onChange=${() => pick(v.path)} /></td>`}
    ${rated && html`<td class="path"><${Link} href=${link(model.id)}>${model.id}<//></td>`}
    <th class="mono nowrap"><i class="swatch" style=${{ background: bitsColour(v.bits_per_weight).fill }}></i> ${v.quantization}</th>
    <td class="right num" data-label="Size" title=${`${exact(v.size_bytes)} bytes`}>${bytes(v.size_bytes)}</td>
    <td class="right num" data-label="Bits a weight">${bits(v.bits_per_weight)}</td>
    <td class="right num" data-label="Deviation" title=${v.rmse ? `RMSE ${v.rmse.toExponential(3)}` : ""}>${v.cosine == null ? "none" : share(deviation(v.cosine) ?? 0)}</td>
    <td class="right num" data-label="Memory in use">${gib(v.vram_required_mb * 2 ** 20)} <${Fits} v=${v} /></td>
    ${rated && html`<td class="nowrap" data-label="Model’s rating"><${RateQuickly} model=${model} place=${v.path} rated=${rated(model.id)} /></td>`}
    ${pick && html`<td class="nowrap" data-label="SHA-256"><code title=${v.sha256}>${v.sha256.slice(0, 12)}…</code> <${Copy} text=${v.sha256} what=${`SHA-256 of ${v.quantization}`} /></td>`}
    <td class="right"><div class="actions end">${v.missing ? html`<span class="misfits">File is missing</span>` : html`<${Link} class="button small" href=${inspectLink(v.path)}>Inspect<span class="unseen"> ${v.quantization}</span><//><${Copy} text=${v.path} label="Copy path" what=${`of ${v.quantization}`} />`}</div></td>
  </tr>`)}</tbody></table></div>`;

/** @param {{v: Variant}} p */
const Fits = ({ v }) => (v.missing ? null : v.vram_required_mb <= budget.value * 1024 ? html`<span class="fits">fits</span>` : html`<span class="misfits">too big</span>`);

/** One model as a card: its files by size. @param {{model: Model, rated: (r: import("./contract").Rating) => void}} p */
function ModelCard({ model: m, rated }) {
  const most = Math.max(1, ...m.variants.map((v) => v.size_bytes));
  return html`<article class="card" aria-label=${m.id}>
    <header><h2><${Link} href=${link(m.id)}>${m.id}<//></h2><span class="faint">${m.architecture}, ${weights(m.parameters)} weights</span><${RateQuickly} model=${m} place=${m.id} rated=${rated} /></header>
    <ul class="plain sizes">${m.variants.map((v) => html`<li key=${v.path} class=${v.missing ? "gone" : ""}><b class="mono">${v.quantization}</b>
      <span class="track" aria-hidden="true"><i style=${{ width: `${(v.size_bytes / most) * 100}%`, background: bitsColour(v.bits_per_weight).fill }}></i></span>
      <span class="num">${bytes(v.size_bytes)}</span><span class="num faint" title="Deviation from the source">${v.cosine == null ? "" : `±${share(deviation(v.cosine) ?? 0)}`}</span>
      <span>${v.missing ? html`<span class="misfits">File is missing</span>` : html`<${Fits} v=${v} />`}</span></li>`)}</ul>
    <footer class="actions"><${Link} class="button small" href=${link(m.id)}>Compare, run, verify<span class="unseen"> ${m.id}</span><//><span class="faint num">${bytes(m.total_bytes)} in ${count(m.variants.length, "file")}, ${when(m.created_at)}</span></footer>
  </article>`;
}

/** @param {{id: string}} p */
export function ModelPage({ id }) {
  const [model, setModel] = useState(/** @type {Model | null} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [picked, setPicked] = useState(/** @type {string[]} */ ([]));
  useEffect(() => {
    get(`/registry/models/${modelPath(id)}`).then((m) => {
      setModel(m);
      setError(null);
      const measured = m.variants.filter((/** @type {Variant} */ v) => v.rmse);
      setPicked((old) => (old.length ? old : measured.slice(-4).map((/** @type {Variant} */ v) => v.path)));
    }, setError);
  }, [id, finished()]);
  if (error) return html`<main><div class="title"><h1 tabindex="-1">${id}</h1></div><${Failure} error=${error} /><p><${Link} class="button" href="/registry">All models<//></p></main>`;
  if (!model) return html`<main><div class="title"><h1 tabindex="-1">${id}</h1></div><${Loading} lines=${6} label="Loading the model" /></main>`;
  const points = model.variants.filter((v) => v.cosine != null || /^(F32|BF16|F16)$/.test(v.quantization)).map((v) => ({
    type: v.quantization, bytes: v.size_bytes, error: deviation(v.cosine) ?? 0, picked: picked.includes(v.path), fits: v.vram_required_mb <= budget.value * 1024,
  }));
  const pick = (/** @type {string} */ path) => setPicked(picked.includes(path) ? picked.filter((p) => p !== path) : picked.length < most ? [...picked, path] : picked);
  const there = model.variants.find((v) => !v.missing);
  const missing = model.variants.filter((v) => v.missing);
  return html`<main class="model-page">
    <div class="title"><div><p class="crumb"><${Link} href="/registry">Registry<//></p><h1 tabindex="-1">${model.id}</h1>
      <p class="faint">${model.architecture}, ${weights(model.parameters)} weights, context ${exact(model.context_length)}, made ${when(model.created_at)}</p></div></div>
    ${missing.length > 0 && html`<${Notice} kind="warning"><p>${missing.length === 1 ? `${missing[0].filename} was moved or deleted.` : `${missing.length} files were moved or deleted.`} The record stays until the model is taken out of the registry.</p><//>`}
    <section aria-label="Files"><h2>Files</h2><${Variants} list=${model.variants.map((v) => ({ model, v }))} picked=${picked} pick=${pick} /></section>
    ${points.length > 1 && html`<section aria-label="Size against quality"><h2>Size against quality</h2><p class="faint">Measured: how far the weights of each file are from the source, as a share of their spread. A click compares, up to ${most} files at once.</p>
      <${SizeQuality} points=${points} measured=${true} label="Size against measured deviation" pick=${(/** @type {string} */ t) => { const v = model.variants.find((w) => w.quantization === t); if (v) pick(v.path); }} /></section>`}
    <${Compare} paths=${picked} variants=${model.variants} />
    ${there && html`<section aria-label="Use"><h2>Use</h2>
      <div class="stack"><${Command} text=${`llama-server -m ${shell(there.path)}`} what="command to serve it" />
      <${Command} text=${`nexus-quant models export ollama ${shell(`${model.id}:${there.quantization}`)}`} what="command for ollama" />
      <${Command} text=${`nexus-quant models export lmstudio ${shell(`${model.id}:${there.quantization}`)}`} what="command for LM Studio" />
      </div></section>`}
    <${Verify} id=${model.id} files=${model.variants.length} />
    <${Rate} key=${model.id} model=${model} />
    <section aria-label="Remove"><h2>Remove</h2><${Remove} model=${model} /></section>
  </main>`;
}

/** @param {{model: Model}} p */
function Remove({ model }) {
  const there = model.variants.filter((v) => !v.missing);
  const size = there.reduce((n, v) => n + v.size_bytes, 0);
  const question = (/** @type {boolean} */ files) => ask({
    title: files ? `Delete ${count(there.length, "file")} of “${model.id}”?` : `Take “${model.id}” out of the registry?`,
    body: html`<p>${files ? `The files are deleted, which frees ${bytes(size)}. The source is not touched.` : "The files stay where they are."}</p>`,
    confirm: files ? `Delete ${count(there.length, "file")}, free ${bytes(size)}` : "Take it out",
    run: async () => { await remove(`/registry/models/${modelPath(model.id)}${files ? "?files=true" : ""}`); say("removed"); go("/registry"); },
  });
  return html`<div class="actions"><button type="button" class="quiet" onClick=${() => question(false)}>Take out of the registry</button>
    ${there.length > 0 && html`<button type="button" class="quiet danger-text" onClick=${() => question(true)}>Delete ${count(there.length, "file")}, free ${bytes(size)}</button>`}</div>`;
}
