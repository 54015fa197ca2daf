// The new job: four steps in one column, and beside them what they come to.
import { html, useEffect, useMemo, useRef, useState } from "../vendor/preact.js";
import * as draft from "./draft.js";
import { SizeQuality, Disk } from "./charts.js";
import { get } from "./api.js";
import { bits, bytes, count, duration, exact, gib, share, weights } from "./format.js";
import { newestFirst, put } from "./live.js";
import { Command, Failure, Loading, Notice, say } from "./parts.js";
import { go } from "./router.js";
import { bitsColour } from "./types.js";
import { Wall } from "./wall.js";

const text = (/** @type {import("../vendor/preact.js").Signal<string>} */ s) => ({ value: s.value, onInput: (/** @type {any} */ e) => { s.value = e.target.value; } });
const tick = (/** @type {import("../vendor/preact.js").Signal<boolean>} */ s) => ({ checked: s.value, onChange: (/** @type {any} */ e) => { s.value = e.target.checked; } });

export function NewJob() {
  useEffect(() => { draft.prepare(); }, []);
  return html`<main class="new">
    <div class="steps">
      <h1 tabindex="-1">New job</h1>
      <${ModelStep} />
      <${FormatStep} />
      <${TypesStep} />
      <${ReviewStep} />
    </div>
    <${Summary} />
  </main>`;
}

/** @param {{n: number, title: string, ready: boolean, wait: string, children?: any}} p */
const Step = ({ n, title, ready, wait, children }) => html`<section class=${`step ${ready ? "" : "waiting"}`} aria-labelledby=${`step-${n}`}>
  <h2 id=${`step-${n}`}><span class="number" aria-hidden="true">${n}</span>${title}</h2>
  ${ready ? children : html`<p class="faint">${wait}</p>`}
</section>`;

function ModelStep() {
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => { if (matchMedia("(pointer: fine)").matches) field.current?.focus({ preventScroll: true }); }, []);
  const [files, setFiles] = useState(/** @type {string[]} */ ([]));
  useEffect(() => { // registered files that lost nothing may be quantized again
    get("/registry/models?limit=100").then((l) => setFiles(l.models.flatMap((/** @type {any} */ m) => m.variants.filter((/** @type {any} */ v) => !v.missing && /^(BF16|F16|F32)$/.test(v.quantization)).map((/** @type {any} */ v) => v.path))), () => {});
  }, []);
  const known = [...new Set([...newestFirst.value.map((j) => j.source_model), ...files])].slice(0, 40);
  const { state, info, error } = draft.model.value;
  const { estimate } = draft.offers.value;
  const shown = draft.preview.value || draft.types.value[draft.types.value.length - 1] || "";
  const cells = useMemo(() => cellsOf(estimate, shown), [estimate, shown]);
  const layers = new Set(estimate?.tensors?.map((t) => t.layer).filter((n) => n !== undefined)).size;
  return html`<${Step} n=${1} title="Model" ready=${true} wait="">
    <div class="field">
      <label for="model">Hub id, folder or GGUF file</label>
      <input id="model" class="mono" ref=${field} list="known" placeholder="org/name or /path/to/model" autocomplete="off" autocapitalize="off" spellcheck=${false}
        aria-describedby="model-says" aria-invalid=${state === "refused"} ...${text(draft.source)}
        onKeyDown=${(/** @type {KeyboardEvent} */ e) => { if (e.key === "Enter") draft.lookNow(); }} />
      <datalist id="known">${known.map((k) => html`<option value=${k} />`)}</datalist>
    </div>
    <details class="more" open=${draft.revision.value !== ""}>
      <summary>Another revision</summary>
      <div class="field"><label for="revision">Branch, tag or commit of a Hub model</label>
        <input id="revision" class="mono" placeholder="main" autocomplete="off" spellcheck=${false} ...${text(draft.revision)} /></div>
    </details>
    <div id="model-says" aria-live="polite" class="says">
      ${state === "none" && html`<p class="faint">Only headers are read to look at a model: nothing is downloaded before a job starts.</p>`}
      ${state === "checking" && html`<p class="busy">Reading the headers…</p>`}
      ${state === "refused" && error && html`<${Failure} error=${error} />`}
      ${state === "refused" && info && html`<${Notice} kind="bad"><p><strong>${info.gated ? "Gated: " : "Not supported: "}</strong>${info.reason}</p>
        ${info.gated && html`<p class="hint">Accept the licence on the Hub, and start the server with HF_TOKEN set.</p>`}<//>`}
      ${state === "known" && info && html`<dl class="facts">
        <div><dt>Architecture</dt><dd>${info.architecture}</dd></div>
        <div><dt>Weights</dt><dd title=${exact(info.parameters)}>${weights(info.parameters)}</dd></div>
        <div><dt>Stored as</dt><dd>${info.dtype}</dd></div>
        <div><dt>Size</dt><dd title=${`${exact(info.size_bytes)} bytes`}>${bytes(info.size_bytes)}</dd></div>
        <div><dt>Context</dt><dd>${info.context_length ? exact(info.context_length) : "–"}</dd></div>
        <div><dt>From</dt><dd>${info.source_type === "huggingface" ? html`the Hub${info.commit ? html`, <code>${info.commit.slice(0, 8)}</code>` : ""}, open to this server` : info.source_type === "gguf" ? "a GGUF file" : "a folder"}</dd></div>
      </dl>`}
    </div>
    ${state === "known" && estimate?.tensors && html`<div class="preview">
      <p class="faint">${count(estimate.tensors.length, "tensor")}${layers ? ` in ${count(layers, "layer")}` : ""}${cells.length ? html`, as <b class="mono">${shown}</b> has them` : ""}</p>
      ${cells.length > 0 && html`<${Wall} cells=${cells} outputs=${[shown]} compact=${true} label=${`The tensors of the model as ${shown}`} />`}</div>`}
  <//>`;
}

/** Cells of one type. @param {import("./contract").Estimate | undefined} e @param {string} type */
function cellsOf(e, type) {
  const i = e?.outputs.findIndex((o) => o.type === type) ?? -1;
  return i < 0 ? [] : wallCells(e, [i]);
}

function FormatStep() {
  const ready = draft.model.value.state === "known";
  return html`<${Step} n=${2} title="Format" ready=${ready} wait="Name a model first.">
    ${draft.catalogueError.value && html`<${Failure} error=${draft.catalogueError.value}><button type="button" onClick=${draft.prepare}>Try again</button><//>`}
    <div class="cards formats">${draft.formats.value.map((f) => html`<label class=${`card pickable ${f.available ? "picked" : "off"}`}>
      <span class="row"><input type="checkbox" checked=${f.available} disabled=${!f.available} onClick=${(/** @type {Event} */ e) => e.preventDefault()} aria-describedby=${`format-${f.format}`} /><strong>${f.name}</strong></span>
      <span class="faint" id=${`format-${f.format}`}>${f.available ? f.description : "not available in this version"}</span>
    </label>`)}</div>
  <//>`;
}

/** Memory besides the weights that is always needed. */
const overhead = 256 * 2 ** 20;

/** @param {number} size */
function fit(size) {
  const room = draft.budget.value * 2 ** 30 - size - overhead;
  if (room < 0) return { fits: false, words: `too big by ${gib(-room)}` };
  return { fits: true, words: `fits, ${gib(room)} left for context` };
}

/** On a phone the long list waits behind a line. */
const roomy = innerWidth > 640;

const groups = [
  { title: "Eight bits and more", has: (/** @type {number} */ b) => b >= 8 && b < 16 }, { title: "Five to seven bits", has: (/** @type {number} */ b) => b >= 5.4 && b < 8 },
  { title: "Four bits", has: (/** @type {number} */ b) => b >= 4.6 && b < 5.4 }, { title: "Three bits and fewer", has: (/** @type {number} */ b) => b < 4.6 },
  { title: "Not quantized", has: (/** @type {number} */ b) => b >= 16 },
];

function TypesStep() {
  const { state, info } = draft.model.value;
  const offers = draft.offers.value;
  const recommended = info?.recommended_types ?? [];
  const all = draft.catalogue.value;
  const points = all.filter((t) => offers.of.has(t.value) && t.expected_deviation != null && t.bits_per_weight <= 17).map((t) => ({
    type: t.value, bytes: offers.of.get(t.value)?.bytes ?? 0, error: t.expected_deviation ?? 0, picked: draft.types.value.includes(t.value),
    recommended: recommended.includes(t.value), fits: fit(offers.of.get(t.value)?.bytes ?? 0).fits,
  }));
  return html`<${Step} n=${3} title="Types" ready=${state === "known"} wait="Sizes are exact: they come from the headers of the model.">
    <div class="field inline">
      <label for="budget">Memory of the machine that will run it (RAM or VRAM), GiB</label>
      <input id="budget" type="number" min="1" max="100000" step="1" inputmode="decimal" value=${draft.budget.value}
        onInput=${(/** @type {any} */ e) => { const n = Number(e.target.value); if (n > 0) draft.budget.value = n; }} />
    </div>
    ${offers.state === "refused" && html`<${Failure} error=${offers.error} />`}
    ${offers.of.size > 0 && html`<${SizeQuality} points=${points} budget=${draft.budget.value * 2 ** 30 - overhead} pick=${draft.toggle} label="Size against quality, one point for each type" />`}
    ${offers.state === "asking" && !offers.of.size && html`<${Loading} lines=${4} label="Reckoning the sizes of all types" />`}
    <${Group} title="Recommended for this model" list=${recommended.map((r) => all.find((t) => t.value === r)).filter(Boolean)} />
    <details class="more" open=${roomy}><summary>All ${count(all.length, "type")}</summary><div class="stack">
      ${groups.map((g) => html`<${Group} title=${g.title} list=${all.filter((t) => !recommended.includes(t.value) && g.has(t.bits_per_weight))} />`)}</div></details>
    <${Advanced} />
  <//>`;
}

/** @param {{title: string, list: any[]}} p */
const Group = ({ title, list }) => (list.length ? html`<fieldset class="group"><legend>${title}</legend>
  <div class="cards types">${list.map((t) => html`<${TypeCard} key=${t.value} type=${t} />`)}</div></fieldset>` : null);

/** @param {{type: import("./contract").TypeInfo}} p */
function TypeCard({ type }) {
  const out = draft.offers.value.of.get(type.value);
  const why = draft.offers.value.without.get(type.value);
  const picked = draft.types.value.includes(type.value);
  const f = out ? fit(out.bytes) : null;
  const colour = bitsColour(type.bits_per_weight);
  return html`<label class=${`card pickable ${picked ? "picked" : ""} ${why ? "off" : ""}`}
    onMouseEnter=${() => { if (out) draft.preview.value = type.value; }} onMouseLeave=${() => { draft.preview.value = ""; }}>
    <span class="row">
      <input type="checkbox" checked=${picked} disabled=${!!why && !picked} onChange=${() => draft.toggle(type.value)} />
      <i class="swatch" style=${{ background: colour.fill }}></i><strong class="mono">${type.name}</strong>
      <b class="size num">${out ? bytes(out.bytes) : why ? "" : "…"}</b>
    </span>
    <span class="row wrap"><span class="num">${out ? bits(out.bits_per_weight) : bits(type.bits_per_weight)} bits a weight</span><span>${type.quality}</span>${(type.expected_deviation ?? 0) > 0 && html`<span class="num faint" title="Deviation of weights as a share of their spread, measured on the project's own test model">±${share(type.expected_deviation ?? 0)}</span>`}</span>
    <span class="faint">${type.description}</span>
    ${why ? html`<span class="warn">${why}</span>` : f && html`<span class=${f.fits ? "fits" : "misfits"}>${f.words}</span>`}
    ${out && out.fallbacks.length > 0 && html`<span class="warn">${count(out.fallbacks.length, "tensor falls", "tensors fall")} back, ${bytes(out.fallback_bytes)} more</span>`}
  </label>`;
}

function Advanced() {
  const o = draft.options;
  const bad = draft.badOverrides.value;
  /** @param {string} id @param {string} label @param {any} signal @param {any} [rest] */
  const input = (id, label, signal, rest = {}) => html`<div class="field"><label for=${id}>${label}</label><input id=${id} autocomplete="off" ...${rest} ...${text(signal)} /></div>`;
  const select = (/** @type {string} */ id, /** @type {string} */ label, /** @type {any} */ signal) => html`<div class="field"><label for=${id}>${label}</label>
    <select id=${id} value=${signal.value} onChange=${(/** @type {any} */ e) => { signal.value = e.target.value; }}><option value="">as the type says</option>${draft.tensorTypes.value.map((t) => html`<option value=${t.value}>${t.value}</option>`)}</select></div>`;
  const box = (/** @type {string} */ label, /** @type {any} */ signal) => html`<label class="check"><input type="checkbox" ...${tick(signal)} /><span>${label}</span></label>`;
  return html`<details class="more advanced"><summary>Advanced</summary><div class="columns">
    <div class="field span"><label for="overrides">Types for single tensors, a line each: <code>REGEX=TYPE</code>. The first match counts.</label>
      <textarea id="overrides" class="mono" rows="3" spellcheck=${false} placeholder="attn_v=q8_0" aria-invalid=${bad.length > 0} aria-describedby="overrides-bad" ...${text(o.overrides)}></textarea>
      <p id="overrides-bad" class="misfits" aria-live="polite">${bad.length ? `not of the form REGEX=TYPE: ${bad[0]}` : ""}</p></div>
    ${select("output-type", "Type of the output tensor", o.outputType)}
    ${select("embedding-type", "Type of the token embedding", o.embeddingType)}
    ${input("imatrix", "Importance matrix (file on the server)", o.imatrix, { class: "mono", placeholder: "/path/to/imatrix.gguf", spellcheck: false })}
    ${input("output-dir", "Folder for the files (on the server)", o.outputDir, { class: "mono", placeholder: "the server's output folder", spellcheck: false })}
    ${input("threads", "Threads", o.threads, { type: "number", min: 1, placeholder: "all cores" })}
    ${input("memory", "Memory to use at most, GiB", o.memory, { type: "number", min: 0.25, step: 0.25, placeholder: "1" })}
    ${input("priority", "Priority (higher ones first)", o.priority, { type: "number", placeholder: "0" })}
    <div class="checks span">
      ${box("Pure: every tensor gets the type itself, without the mix", o.pure)}
      ${box("Leave the output tensor as it is", o.leaveOutput)}
      ${box("Read each file back and check it", o.verify)}
      ${box("Write a statement of origin beside each file", o.provenance)}
      ${box("Quantize what is quantized already", o.requantize)}
      ${box("Replace files that are there", o.force)}
    </div>
  </div></details>`;
}

function ReviewStep() {
  const { state, estimate, error } = draft.plan.value;
  const ready = draft.model.value.state === "known" && draft.types.value.length > 0;
  const offers = draft.offers.value;
  const [shown, show] = useState("");
  const chosen = draft.types.value.includes(shown) ? shown : draft.types.value[0];
  const cells = useMemo(() => cellsOf(offers.estimate, chosen), [offers.estimate, chosen]);
  return html`<${Step} n=${4} title="Review" ready=${ready} wait="Choose at least one type.">
    <div class="columns">
      <div class="field"><label for="job-name">Name of the job</label><input id="job-name" maxlength="200" placeholder=${draft.proposedName.value} autocomplete="off" ...${text(draft.jobName)} /></div>
      <div class="field"><label for="job-text">Description (optional)</label><input id="job-text" maxlength="10000" autocomplete="off" ...${text(draft.description)} /></div>
    </div>
    ${state === "refused" && html`<${Failure} title="This can't be made" error=${error} />`}
    ${estimate && html`
      <div class="scroll" tabindex="0" role="region" aria-label="Files"><table class="table">
        <thead><tr><th>Type</th><th>File</th><th class="right">Size</th><th class="right">Bits a weight</th></tr></thead>
        <tbody>${estimate.outputs.map((o) => html`<tr><th class="mono">${o.type}</th><td class="mono path">${o.path}</td><td class="right num" title=${`${exact(o.bytes)} bytes`}>${bytes(o.bytes)}</td><td class="right num">${bits(o.bits_per_weight)}</td></tr>`)}</tbody>
      </table></div>
      <${Disk} disk=${estimate.disk_bytes} free=${estimate.free_disk_bytes} files=${estimate.output_bytes} download=${estimate.download_bytes} />
      ${draft.refusal.value && html`<${Notice} kind="bad"><p><strong>This can't be made as it is:</strong> ${draft.refusal.value}</p>
        ${/exists already/.test(draft.refusal.value) && html`<p class="actions"><button type="button" onClick=${() => { draft.options.force.value = true; }}>Replace what is there</button><span class="faint">or take the type out, or name another folder under Advanced</span></p>`}<//>`}
      ${draft.warnings.value.map((w) => html`<${Notice} kind="warning"><p>${w}</p><//>`)}
      ${estimate.outputs.some((o) => o.fallbacks.length) && html`<details class="more"><summary>Tensors that fall back</summary><ul class="plain">${estimate.outputs.flatMap((o) => o.fallbacks.slice(0, 50).map((f) => html`<li><code>${f.tensor}</code>: ${f.got} in place of ${f.want} in ${o.type}, because of ${exact(f.columns)} columns</li>`))}</ul></details>`}`}
    ${cells.length > 0 && html`<div class="wall-head"><h3>What each tensor becomes</h3>
      ${draft.types.value.length > 1 && html`<div class="tabs" role="group" aria-label="Type that is shown">${draft.types.value.map((t) => html`<button type="button" aria-pressed=${String(t === chosen)} onClick=${() => show(t)}>${t}</button>`)}</div>`}</div>
      <${Wall} cells=${cells} outputs=${[chosen]} label=${`Types of all tensors in ${chosen}`} />`}
  <//>`;
}

/** Cells of an estimate with tensors, for some of its outputs. @param {import("./contract").Estimate | undefined} e @param {number[]} which */
export function wallCells(e, which) {
  if (!e?.tensors) return [];
  const fallen = new Map(which.flatMap((i) => e.outputs[i].fallbacks.map((f) => [f.tensor, `${f.got} in place of ${f.want}, because of ${exact(f.columns)} columns`])));
  return e.tensors.filter((t) => which.some((i) => t.types[i])).map((t) => ({ name: t.name, shape: t.shape, types: which.map((i) => t.types[i]), fallback: fallen.has(t.name), note: fallen.get(t.name) }));
}

function Summary() {
  const { info, state } = draft.model.value;
  const plan = draft.plan.value;
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(/** @type {any} */ (null));
  const types = draft.types.value;
  const sizes = types.map((t) => draft.offers.value.of.get(t)?.bytes);
  const known = plan.state === "known" ? plan.estimate : undefined;
  const total = known?.output_bytes ?? (sizes.every((s) => s !== undefined) ? sizes.reduce((a, b) => (a ?? 0) + (b ?? 0), 0) : undefined);
  useEffect(() => setError(null), [types, draft.source.value]);
  const ready = state === "known" && types.length > 0 && plan.state === "known" && !draft.refusal.value && !draft.badOverrides.value.length;
  const make = async () => {
    setBusy(true);
    setError(null);
    try {
      const job = await draft.create();
      put(job);
      say("job created");
      go(`/jobs/${job.id}`);
    } catch (e) { setError(e); }
    setBusy(false);
  };
  return html`<aside class="summary" aria-label="What you chose">
    <h2>${info?.supported ? draft.proposedName.value.split(" ")[0] : "Nothing chosen yet"}</h2>
    ${state === "known" && info ? html`
      <ul class="chosen">${types.map((t, i) => html`<li><button type="button" class="quiet small" aria-label=${`Remove ${t}`} onClick=${() => draft.toggle(t)}>×</button><b class="mono">${t}</b><span class="num">${sizes[i] === undefined ? "…" : bytes(sizes[i])}</span></li>`)}
        ${types.length === 0 && html`<li class="faint">No type chosen</li>`}</ul>
      <dl class="totals">
        <div><dt>${types.length === 1 ? "Writes" : `Writes ${count(types.length, "file")}`}</dt><dd class="num">${total === undefined || !types.length ? "–" : bytes(total)}</dd></div>
        ${known && known.download_bytes > 0 && html`<div><dt>Downloads</dt><dd class="num">${bytes(known.download_bytes)}</dd></div>`}
        <div><dt>Stays free</dt><dd class="num">${known ? (known.free_disk_bytes - known.peak_disk_bytes >= 0 ? bytes(known.free_disk_bytes - known.peak_disk_bytes) : "not enough") : "–"}</dd></div>
        <div><dt>Takes about</dt><dd class="num">${known ? duration(known.estimated_seconds) : "–"}</dd></div>
        <div><dt>Memory</dt><dd class="num">${known ? gib(known.peak_memory_bytes) : "–"}</dd></div>
      </dl>
      ${types.length > 0 && html`<div class="cli"><h3>The same on the command line</h3><${Command} text=${draft.command.value} /></div>`}` : html`<p class="faint">Name a model, and its types, sizes and the time they take stand here.</p>`}
    ${error && html`<${Failure} error=${error} />`}
    <button type="button" class="primary" disabled=${!ready || busy} onClick=${make}>${busy ? "Creating…" : types.length && state === "known" ? `Create job, ${count(types.length, "file")}` : "Create job"}</button>
    ${state === "known" && types.length > 0 && html`<div class="dock"><span><b class="num">${total === undefined ? "…" : bytes(total)}</b> <span class="mono">${types.join(", ")}</span></span>
      <button type="button" class="primary" disabled=${!ready || busy} onClick=${make}>Create job</button></div>`}
  </aside>`;
}
