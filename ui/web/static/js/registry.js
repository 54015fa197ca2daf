// Finished models: what there is, what fits, and which variant is better where.
import { effect, html, signal, useEffect, useMemo, useState } from "../vendor/preact.js";
import { get, modelPath, post, query, remove } from "./api.js";
import { SizeQuality } from "./charts.js";
import { budget } from "./draft.js";
import { bits, bytes, count, exact, gib, share, shell, weights, when } from "./format.js";
import { inspectLink } from "./inspect.js";
import { newestFirst } from "./live.js";
import { ask, Command, Copy, Failure, Loading, Notice, say } from "./parts.js";
import { go, Link } from "./router.js";
import { bitsColour, deviation, errorColour } from "./types.js";
import { Verify } from "./verify.js";
import { Wall } from "./wall.js";

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
    ${list && list.models.length > 0 && (layout.value === "table" ? html`<${Variants} models=${true} list=${list.models.flatMap((m) => m.variants.map((v) => ({ model: m.id, v })))} />`
    : html`<ul class="plain models">${list.models.map((m) => html`<li key=${m.id}><${ModelCard} model=${m} /></li>`)}</ul>`)}
  </main>`;
}

/** @typedef {{model: string, v: Variant}} Row */

/** @param {{list: Row[], models?: boolean, picked?: string[], pick?: (path: string) => void}} p models: name the model in each row */
const Variants = ({ list, models, picked, pick }) => html`<div class="scroll" tabindex="0" role="region" aria-label="Files"><table class="table fold">
  <thead><tr>${pick && html`<th>Compare</th>`}${models && html`<th>Model</th>`}<th>Type</th><th class="right">Size</th><th class="right">Bits a weight</th><th class="right">Deviation</th><th class="right">Memory in use</th>${pick && html`<th>SHA-256</th>`}<th></th></tr></thead>
  <tbody>${list.map(({ model, v }) => html`<tr key=${v.path} class=${v.missing ? "gone" : ""}>
    ${pick && html`<td class="compare" data-label="Compare"><input type="checkbox" aria-label=${`Compare ${v.quantization}`} checked=${picked?.includes(v.path)} disabled=${!picked?.includes(v.path) && (picked?.length ?? 0) >= 2} onChange=${() => pick(v.path)} /></td>`}
    ${models && html`<td class="path"><${Link} href=${link(model)}>${model}<//></td>`}
    <th class="mono nowrap"><i class="swatch" style=${{ background: bitsColour(v.bits_per_weight).fill }}></i> ${v.quantization}</th>
    <td class="right num" data-label="Size" title=${`${exact(v.size_bytes)} bytes`}>${bytes(v.size_bytes)}</td>
    <td class="right num" data-label="Bits a weight">${bits(v.bits_per_weight)}</td>
    <td class="right num" data-label="Deviation" title=${v.rmse ? `RMSE ${v.rmse.toExponential(3)}` : ""}>${v.cosine == null ? "none" : share(deviation(v.cosine) ?? 0)}</td>
    <td class="right num" data-label="Memory in use">${gib(v.vram_required_mb * 2 ** 20)} <${Fits} v=${v} /></td>
    ${pick && html`<td class="nowrap" data-label="SHA-256"><code title=${v.sha256}>${v.sha256.slice(0, 12)}…</code> <${Copy} text=${v.sha256} what=${`SHA-256 of ${v.quantization}`} /></td>`}
    <td class="right"><div class="actions end">${v.missing ? html`<span class="misfits">File is missing</span>` : html`<${Link} class="button small" href=${inspectLink(v.path)}>Inspect<span class="unseen"> ${v.quantization}</span><//><${Copy} text=${v.path} label="Copy path" what=${`of ${v.quantization}`} />`}</div></td>
  </tr>`)}</tbody></table></div>`;

/** @param {{v: Variant}} p */
const Fits = ({ v }) => (v.missing ? null : v.vram_required_mb <= budget.value * 1024 ? html`<span class="fits">fits</span>` : html`<span class="misfits">too big</span>`);

/** One model as a card: its files by size. @param {{model: Model}} p */
function ModelCard({ model: m }) {
  const most = Math.max(1, ...m.variants.map((v) => v.size_bytes));
  return html`<article class="card" aria-label=${m.id}>
    <header><h2><${Link} href=${link(m.id)}>${m.id}<//></h2><span class="faint">${m.architecture}, ${weights(m.parameters)} weights</span></header>
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
      setPicked((old) => (old.length ? old : measured.slice(-2).map((/** @type {Variant} */ v) => v.path)));
    }, setError);
  }, [id, finished()]);
  if (error) return html`<main><div class="title"><h1 tabindex="-1">${id}</h1></div><${Failure} error=${error} /><p><${Link} class="button" href="/registry">All models<//></p></main>`;
  if (!model) return html`<main><div class="title"><h1 tabindex="-1">${id}</h1></div><${Loading} lines=${6} label="Loading the model" /></main>`;
  const points = model.variants.filter((v) => v.cosine != null || /^(F32|BF16|F16)$/.test(v.quantization)).map((v) => ({
    type: v.quantization, bytes: v.size_bytes, error: deviation(v.cosine) ?? 0, picked: picked.includes(v.path), fits: v.vram_required_mb <= budget.value * 1024,
  }));
  const pick = (/** @type {string} */ path) => setPicked(picked.includes(path) ? picked.filter((p) => p !== path) : [...picked, path].slice(-2));
  const there = model.variants.find((v) => !v.missing);
  const missing = model.variants.filter((v) => v.missing);
  return html`<main class="model-page">
    <div class="title"><div><p class="crumb"><${Link} href="/registry">Registry<//></p><h1 tabindex="-1">${model.id}</h1>
      <p class="faint">${model.architecture}, ${weights(model.parameters)} weights, context ${exact(model.context_length)}, made ${when(model.created_at)}</p></div></div>
    ${missing.length > 0 && html`<${Notice} kind="warning"><p>${missing.length === 1 ? `${missing[0].filename} was moved or deleted.` : `${missing.length} files were moved or deleted.`} The record stays until the model is taken out of the registry.</p><//>`}
    <section aria-label="Files"><h2>Files</h2><${Variants} list=${model.variants.map((v) => ({ model: model.id, v }))} picked=${picked} pick=${pick} /></section>
    ${points.length > 1 && html`<section aria-label="Size against quality"><h2>Size against quality</h2><p class="faint">Measured: how far the weights of each file are from the source, as a share of their spread. A click compares.</p>
      <${SizeQuality} points=${points} measured=${true} label="Size against measured deviation" pick=${(/** @type {string} */ t) => { const v = model.variants.find((w) => w.quantization === t); if (v) pick(v.path); }} /></section>`}
    <${Compare} paths=${picked} variants=${model.variants} />
    ${there && html`<section aria-label="Use"><h2>Use</h2>
      <div class="stack"><${Command} text=${`llama-server -m ${shell(there.path)}`} what="command to serve it" />
      <${Command} text=${`nexus-quant models export ollama ${shell(`${model.id}:${there.quantization}`)}`} what="command for ollama" />
      <${Command} text=${`nexus-quant models export lmstudio ${shell(`${model.id}:${there.quantization}`)}`} what="command for LM Studio" />
      </div></section>`}
    <${Verify} id=${model.id} files=${model.variants.length} />
    <${Rate} model=${model} />
    <section aria-label="Remove"><h2>Remove</h2><${Remove} model=${model} /></section>
  </main>`;
}

/** Two files side by side, tensor by tensor. @param {{paths: string[], variants: Variant[]}} p */
function Compare({ paths, variants }) {
  const [known, setKnown] = useState(/** @type {Record<string, Variant>} */ ({}));
  const [error, setError] = useState(/** @type {any} */ (null));
  useEffect(() => {
    for (const path of paths) if (!known[path]) get(`/registry/variant?${query({ ref: path })}`).then((v) => setKnown((k) => ({ ...k, [path]: v })), setError);
  }, [paths]);
  const list = variants.filter((v) => paths.includes(v.path)).map((v) => known[v.path]).filter((v) => v?.tensors?.length);
  const walls = useMemo(() => list.map((v) => (v.tensors ?? []).map((t) => ({ name: t.name, types: [t.type], errors: [t.rmse > 0 ? deviation(t.cosine) : null] }))), [list.map((v) => v.path).join()]);
  if (error) return html`<${Failure} error=${error} />`;
  if (!list.length) return null;
  const roles = byRole(list);
  const most = Math.max(...roles.flatMap((r) => r.errors), 1e-9);
  return html`<section aria-label="Tensor by tensor"><h2>Tensor by tensor</h2>
    <div class="sidebyside">${list.map((v, i) => html`<div><h3 class="mono">${v.quantization}</h3><${Wall} cells=${walls[i]} outputs=${[v.quantization]} mode="errors" legend=${false} label=${`Deviation of all tensors in ${v.quantization}`} /></div>`)}</div>
    <${Scale} />
    <h3>By role</h3>
    <table class="roles"><caption class="unseen">Deviation by role</caption><thead><tr><th>Role</th>${list.map((v) => html`<th class="mono">${v.quantization}</th>`)}</tr></thead>
      <tbody>${roles.map((r) => html`<tr><th class="mono">${r.role}</th>${r.errors.map((e) => html`<td><span class="rolebar" style=${{ width: `${(e / most) * 70}%`, background: errorColour(e).fill }}></span> <span class="num">${share(e)}</span></td>`)}</tr>`)}</tbody></table>
  </section>`;
}

const Scale = () => html`<p class="legend">${[0.001, 0.01, 0.03, 0.1, 0.3].map((e) => html`<span><i style=${{ background: errorColour(e).fill }}></i>${Number((e * 100).toPrecision(2))}${"\u202f"}%</span>`)}<span class="faint">deviation from the source, as a share of the spread; blank is unchanged</span></p>`;

/** @param {Variant[]} list */
function byRole(list) {
  /** @type {Map<string, number[][]>} */
  const roles = new Map();
  list.forEach((v, i) => v.tensors?.forEach((t) => {
    if (!(t.rmse > 0)) return;
    const role = t.name.replace(/^blk\.\d+\./, "").replace(/\.weight$/, "");
    if (!roles.has(role)) roles.set(role, list.map(() => []));
    roles.get(role)?.[i].push(deviation(t.cosine) ?? 0);
  }));
  const mean = (/** @type {number[]} */ l) => (l.length ? l.reduce((a, b) => a + b, 0) / l.length : 0);
  return [...roles].map(([role, l]) => ({ role, errors: l.map(mean) })).sort((a, b) => b.errors[b.errors.length - 1] - a.errors[a.errors.length - 1]);
}

/** @param {{model: Model}} p */
function Rate({ model }) {
  const [stars, setStars] = useState(model.rating?.rating ?? 0);
  const [notes, setNotes] = useState(model.rating?.notes ?? "");
  const [tags, setTags] = useState((model.rating?.tags ?? []).join(", "));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [saved, setSaved] = useState(!!model.rating);
  const save = async (/** @type {Event} */ e) => {
    e.preventDefault();
    try {
      await post(`/registry/models/${modelPath(model.id)}/rating`, { rating: stars, notes, tags: tags.split(",").map((t) => t.trim()).filter(Boolean) });
      setSaved(true);
      setError(null);
      say("rating saved");
    } catch (err) { setError(err); }
  };
  const changed = (/** @type {(v: any) => void} */ set) => (/** @type {any} */ v) => { set(v); setSaved(false); };
  return html`<section aria-label="Rating and notes"><h2>Rating and notes</h2>
    <form class="stack" onSubmit=${save}>
      <fieldset class="stars"><legend class="unseen">Rating</legend>${[1, 2, 3, 4, 5].map((n) => html`<label class=${n <= stars ? "on" : ""}><input type="radio" name="stars" value=${n} checked=${stars === n} onChange=${() => changed(setStars)(n)} /><span aria-hidden="true">★</span><span class="unseen">${count(n, "star")}</span></label>`)}<span class="faint">${stars ? `${stars} of 5` : "not rated"}</span></fieldset>
      <div class="columns"><div class="field"><label for="notes">Notes</label><textarea id="notes" rows="3" maxlength="10000" value=${notes} onInput=${(/** @type {any} */ e) => changed(setNotes)(e.target.value)}></textarea></div>
      <div class="field"><label for="tags">Tags, with commas between</label><input id="tags" value=${tags} autocomplete="off" onInput=${(/** @type {any} */ e) => changed(setTags)(e.target.value)} /></div></div>
      ${error && html`<${Failure} error=${error} />`}
      <div class="actions"><button type="submit" disabled=${!stars || saved}>${saved ? "Saved" : "Save rating"}</button></div>
    </form></section>`;
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
