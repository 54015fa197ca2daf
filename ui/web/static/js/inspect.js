// Any GGUF file of the server: what it says of itself, and what it is made of.
import { html, signal, useEffect, useMemo, useRef, useState } from "../vendor/preact.js";
import { get, query } from "./api.js";
import * as draft from "./draft.js";
import { bits, bytes, count, exact, share, weights, when } from "./format.js";
import { newestFirst } from "./live.js";
import { Copy, Failure, Loading } from "./parts.js";
import { go, Link, search as address } from "./router.js";
import { typeColour } from "./types.js";
import { Wall } from "./wall.js";

/** @typedef {import("./contract").Inspection} Inspection */
/** @typedef {import("./contract").FileTensor} FileTensor */

/** @param {string} path */
export const inspectLink = (path) => `/inspect?${query({ path })}`;

const fileName = (/** @type {string} */ p) => p.split(/[/\\]/).pop() ?? p;

export function Inspect() {
  const path = new URLSearchParams(address.value).get("path") ?? "";
  return path ? html`<${File} key=${path} path=${path} />` : html`<${Files} />`;
}

/** Where a path is typed. @param {{path: string}} p */
function PathField({ path }) {
  const [text, setText] = useState(path);
  const submit = (/** @type {Event} */ e) => { e.preventDefault(); if (text.trim()) go(inspectLink(text.trim())); };
  return html`<form class="path-field" onSubmit=${submit}>
    <div class="field"><label for="inspect-path">Path of a GGUF file on the server</label>
      <input id="inspect-path" class="mono" placeholder="/path/to/model.gguf" autocomplete="off" autocapitalize="off" spellcheck=${false} value=${text} onInput=${(/** @type {any} */ e) => setText(e.target.value)} /></div>
    <button type="submit" disabled=${!text.trim()}>Inspect</button>
  </form>`;
}

const words = signal("");

function Files() {
  const [list, setList] = useState(/** @type {import("./contract").FileList | null} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [again, setAgain] = useState(0);
  const finished = newestFirst.value.filter((j) => j.status === "completed").length;
  useEffect(() => {
    const stop = new AbortController();
    const timer = setTimeout(() => get(`/files?${query({ search: words.value, limit: 200 })}`, stop.signal).then((l) => { setList(l); setError(null); }, (e) => { if (!stop.signal.aborted) setError(e); }), list ? 200 : 0);
    return () => { clearTimeout(timer); stop.abort(); };
  }, [words.value, again, finished]);
  const nothing = list && list.total === 0 && words.value === "";
  return html`<main>
    <div class="title"><h1 tabindex="-1">Inspect</h1></div>
    <p class="faint">Metadata, tensors and types of any GGUF file, whoever made it. Only its header is read.</p>
    <${PathField} path="" />
    ${error && html`<${Failure} title="The folders could not be looked through" error=${error}><button type="button" onClick=${() => setAgain(again + 1)}>Try again</button><//>`}
    ${!list && !error && html`<${Loading} lines=${4} label="Looking through the folders" />`}
    ${nothing && html`<div class="empty"><h2>No GGUF files yet</h2><p>Looked in ${list.folders.map((f, i) => html`${i ? ", " : ""}<code class="path">${f}</code>`)}. <code>serve --allow-path DIR</code> adds a folder.</p><${Link} href="/quantization" class="button primary">New job<//></div>`}
    ${list && !nothing && html`<section aria-label="Files on the server">
      <div class="tools"><label class="unseen" for="file-search">Search in files</label>
        <input id="file-search" type="search" placeholder="Search in names and folders" value=${words.value} onInput=${(/** @type {any} */ e) => { words.value = e.target.value; }} />
        <span class="faint num">${count(list.total, "file")}${list.partial ? ", and more than could be looked through: type the path" : ""}</span></div>
      ${list.files.length > 0 ? html`<div class="scroll" tabindex="0" role="region" aria-label="Files"><table class="table">
        <thead><tr><th>File</th><th>Folder</th><th class="right">Size</th><th>Changed</th></tr></thead>
        <tbody>${list.files.map((f) => html`<tr key=${f.path}><th class="path"><${Link} href=${inspectLink(f.path)} class="mono">${fileName(f.path)}<//></th>
          <td class="mono path faint">${f.path.slice(0, -fileName(f.path).length - 1)}</td><td class="right num" title=${`${exact(f.bytes)} bytes`}>${bytes(f.bytes)}</td><td class="num nowrap">${when(f.modified_at)}</td></tr>`)}</tbody></table></div>`
    : html`<div class="empty"><p>No file is like that.</p><button type="button" class="quiet" onClick=${() => { words.value = ""; }}>Show all</button></div>`}
      ${list.files.length < list.total && html`<p class="faint">The latest ${exact(list.files.length)} are shown: search for others.</p>`}
    </section>`}
  </main>`;
}

/** @param {{path: string}} p */
function File({ path }) {
  const [info, setInfo] = useState(/** @type {Inspection | null} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [again, setAgain] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    setError(null);
    get(`/files/inspect?${query({ path })}`, stop.signal).then(setInfo, (e) => { if (!stop.signal.aborted) setError(e); });
    return () => stop.abort();
  }, [path, again]);
  return html`<main class="inspect-page">
    <div class="title"><div><p class="crumb"><${Link} href="/inspect">Inspect<//></p><h1 tabindex="-1">${fileName(path)}</h1><p class="path mono faint">${path}</p></div>
      ${info && html`<div class="title-side"><${Copy} text=${path} label="Copy path" /><button type="button" onClick=${() => { draft.source.value = path; go("/quantization"); }}>Quantize it</button></div>`}</div>
    ${error && html`<${Failure} title=${unreadable(error)} error=${error}><button type="button" onClick=${() => setAgain(again + 1)}>Try again</button><//><${PathField} path=${path} />`}
    ${!info && !error && html`<${Loading} lines=${6} label="Reading the header" />`}
    ${info && html`<${Known} info=${info} />`}
  </main>`;
}

/** What to call a refusal. @param {any} e */
function unreadable(e) {
  if (e.status === 403) return "This file may not be read";
  if (e.status === 404) return "There is no such file";
  return e.status === 400 ? "This file can't be read" : "The file could not be looked at";
}

const outputs = ["type"];

/** @param {{info: Inspection}} p */
function Known({ info }) {
  const [picked, setPicked] = useState("");
  const [only, setOnly] = useState("");
  const cells = useMemo(() => info.tensors.map((t) => ({ name: t.name, shape: t.shape, types: [t.type] })), [info]);
  const chosen = info.tensors.find((t) => t.name === picked);
  const total = info.files?.reduce((n, f) => n + f.bytes, 0) ?? 0;
  const meta = new Map(info.metadata.map((m) => [m.key, m.value]));
  return html`
    <dl class="tiles panel">
      <div><dt>Architecture</dt><dd>${info.architecture || "not said"}</dd></div>
      ${meta.get("general.name") && html`<div><dt>Name</dt><dd>${meta.get("general.name")}</dd></div>`}
      <div><dt>File type</dt><dd class="mono">${info.file_type || "not said"}</dd></div>
      <div><dt>Weights</dt><dd class="num" title=${exact(info.parameters)}>${weights(info.parameters)}</dd></div>
      <div><dt>Size</dt><dd class="num" title=${`${exact(total)} bytes`}>${bytes(total)}</dd></div>
      <div><dt>Bits a weight</dt><dd class="num">${info.parameters ? bits(info.bits_per_weight) : "–"}</dd></div>
      <div><dt>Context</dt><dd class="num">${info.context_length ? exact(info.context_length) : "–"}</dd></div>
      ${(info.files?.length ?? 0) > 1 && html`<div><dt>Shards</dt><dd class="num">${info.files?.length}</dd></div>`}
    </dl>
    ${info.tensors.length === 0 ? html`<div class="empty"><p>This file holds metadata and no tensors.</p></div>` : html`
      <section aria-label="Wall"><h2>What each tensor is stored as</h2>
        <${Wall} cells=${cells} outputs=${outputs} label=${`Types of all tensors of ${info.model}`} legend=${false} pick=${(/** @type {any} */ c) => setPicked(c.name)} picked=${picked} />
        <${Types} info=${info} only=${only} choose=${(/** @type {string} */ t) => setOnly(t === only ? "" : t)} />
        <div aria-live="polite">${chosen && html`<${Chosen} tensor=${chosen} info=${info} />`}</div>
      </section>
      <${Tensors} info=${info} only=${only} clear=${() => setOnly("")} picked=${picked} pick=${setPicked} />`}
    <${Metadata} info=${info} />`;
}

/** Histogram of types: how much of the file each takes. @param {{info: Inspection, only: string, choose: (type: string) => void}} p */
const Types = ({ info, only, choose }) => html`<div class="types-chart" role="group" aria-label="Histogram of types; one is chosen to filter the tensors">
  ${info.types.map((t) => html`<button type="button" key=${t.type} class="quiet typebar" aria-pressed=${String(only === t.type)} onClick=${() => choose(t.type)}>
    <b class="mono">${t.type}</b><span class="track" aria-hidden="true"><i style=${{ width: `${Math.max(0.4, (t.bytes / Math.max(1, info.bytes)) * 100)}%`, background: typeColour(t.type).fill }}></i></span>
    <span class="num">${share(t.bytes / Math.max(1, info.bytes))}</span><span class="num faint">${bytes(t.bytes)}</span><span class="num faint">${count(t.tensors, "tensor")}</span></button>`)}</div>`;

const shapeOf = (/** @type {FileTensor} */ t) => t.shape.map((n) => exact(n)).join(" × ");

/** @param {{tensor: FileTensor, info: Inspection}} p */
const Chosen = ({ tensor: t, info }) => html`<dl class="tiles panel chosen-tensor">
  <div class="span"><dt>Tensor</dt><dd class="mono path">${t.name} <${Copy} text=${t.name} what="name of the tensor" /></dd></div>
  <div><dt>Type</dt><dd class="mono">${t.type}</dd></div><div><dt>Shape</dt><dd class="num">${shapeOf(t)}</dd></div>
  <div><dt>Size</dt><dd class="num" title=${`${exact(t.bytes)} bytes`}>${bytes(t.bytes)}</dd></div>
  <div><dt>Offset in the file</dt><dd class="num">${exact(t.offset)}</dd></div>
  ${(info.files?.length ?? 0) > 1 && html`<div><dt>Shard</dt><dd class="path">${fileName(info.files?.[t.file].path ?? "")}</dd></div>`}
</dl>`;

/** @type {{id: string, label: string, right?: boolean, of: (t: FileTensor) => string | number}[]} */
const columns = [
  { id: "place", label: "Place", right: true, of: (t) => t.file * 2 ** 50 + t.offset }, { id: "name", label: "Name", of: (t) => t.name }, { id: "type", label: "Type", of: (t) => t.type },
  { id: "shape", label: "Shape", of: (t) => t.elements }, { id: "size", label: "Size", right: true, of: (t) => t.bytes }, { id: "offset", label: "Offset", right: true, of: (t) => t.offset },
];
const step = 250; // rows at once

/** @param {{info: Inspection, only: string, clear: () => void, picked: string, pick: (name: string) => void}} p */
function Tensors({ info, only, clear, picked, pick }) {
  const [text, setText] = useState("");
  const [sort, setSort] = useState({ by: "place", down: false });
  const [rows, setRows] = useState(step);
  const place = useMemo(() => new Map(info.tensors.map((t, i) => [t.name, i + 1])), [info]);
  const found = useMemo(() => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const list = info.tensors.filter((t) => (!only || t.type === only) && words.every((w) => `${t.name} ${t.type} ${t.shape.join("x")}`.toLowerCase().includes(w)));
    const of = columns.find((c) => c.id === sort.by)?.of ?? (() => 0);
    list.sort((a, b) => { const x = of(a), y = of(b); return typeof x === "string" ? x.localeCompare(String(y), "en", { numeric: true }) : x - Number(y); });
    return sort.down ? list.reverse() : list;
  }, [info, text, only, sort]);
  useEffect(() => setRows(step), [found]);
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => { // a tensor was picked in the wall: show its row
    const i = found.findIndex((t) => t.name === picked);
    if (i < 0 || !box.current) return;
    if (i >= rows) { setRows(i + step); return; }
    const row = /** @type {HTMLElement} */ (box.current.querySelectorAll("tbody tr")[i]), b = box.current;
    if (row.offsetTop < b.scrollTop + 40 || row.offsetTop + row.offsetHeight > b.scrollTop + b.clientHeight) b.scrollTop = row.offsetTop - b.clientHeight / 2;
  }, [picked, found, rows]);
  return html`<section aria-label="Tensors"><h2>Tensors</h2>
    <div class="tools"><label class="unseen" for="tensor-search">Search in tensors</label>
      <input id="tensor-search" type="search" placeholder="Search name, type, shape" value=${text} onInput=${(/** @type {any} */ e) => setText(e.target.value)} />
      ${only && html`<button type="button" class="small" onClick=${clear} aria-label=${`Show all types, not ${only} alone`}><span class="mono">${only}</span> ×</button>`}
      <span class="faint num" role="status">${found.length === info.tensors.length ? count(found.length, "tensor") : `${exact(found.length)} of ${exact(info.tensors.length)} tensors`}</span></div>
    ${found.length === 0 ? html`<div class="empty"><p>No tensor is like that.</p></div>` : html`<div class="scroll tall" ref=${box} tabindex="0" role="region" aria-label="Tensors of the file"><table class="table tensors">
      <thead><tr>${columns.map((c) => html`<th class=${c.right ? "right" : ""} aria-sort=${sort.by === c.id ? (sort.down ? "descending" : "ascending") : undefined}>
        <button type="button" class="quiet sort" onClick=${() => setSort({ by: c.id, down: sort.by === c.id && !sort.down })}>${c.label}<span aria-hidden="true">${sort.by === c.id ? (sort.down ? " ↓" : " ↑") : ""}</span></button></th>`)}</tr></thead>
      <tbody>${found.slice(0, rows).map((t) => html`<tr key=${t.name} class=${t.name === picked ? "on" : ""} onClick=${() => pick(t.name)}>
        <td class="right num faint">${place.get(t.name)}</td><th class="mono path">${t.name}</th><td class="mono nowrap"><i class="swatch" style=${{ background: typeColour(t.type).fill }}></i> ${t.type}</td>
        <td class="num">${shapeOf(t)}</td><td class="right num" title=${`${exact(t.bytes)} bytes`}>${bytes(t.bytes)}</td><td class="right num">${exact(t.offset)}</td></tr>`)}</tbody></table></div>
      ${found.length > rows && html`<button type="button" onClick=${() => setRows(rows + 4 * step)}>Show ${exact(Math.min(4 * step, found.length - rows))} more</button>`}`}
  </section>`;
}

/** @param {{info: Inspection}} p */
function Metadata({ info }) {
  const [text, setText] = useState("");
  const needles = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = info.metadata.filter((m) => needles.every((w) => `${m.key} ${JSON.stringify(m.value)}`.toLowerCase().includes(w)));
  return html`<section aria-label="Metadata"><h2>Metadata</h2>
    <div class="tools"><label class="unseen" for="meta-search">Search in metadata</label>
      <input id="meta-search" type="search" placeholder="Search key or value" value=${text} onInput=${(/** @type {any} */ e) => setText(e.target.value)} />
      <span class="faint num" role="status">${found.length === info.metadata.length ? count(found.length, "key") : `${exact(found.length)} of ${exact(info.metadata.length)} keys`}</span></div>
    ${found.length === 0 ? html`<div class="empty"><p>${info.metadata.length ? "No key is like that." : "This file holds no metadata."}</p></div>`
    : html`<dl class="meta">${found.map((m) => html`<div key=${m.key}><dt class="mono path">${m.key}</dt><dd><${Value} entry=${m} /></dd></div>`)}</dl>`}
  </section>`;
}

/** @param {{entry: import("./contract").MetaEntry}} p */
function Value({ entry: m }) {
  const [folded, fold] = useState(true);
  if (Array.isArray(m.value)) {
    const list = JSON.stringify(m.value).slice(1, -1).replaceAll('","', '", "').replaceAll(",", ", ").replaceAll(",  ", ", ");
    return html`<span class="mono path">[${list}${(m.length ?? 0) > m.value.length ? ", …" : ""}]</span> <span class="faint num">${count(m.length ?? 0, "value")} of ${m.type.slice(2)}</span>`;
  }
  const text = String(m.value);
  const long = typeof m.value === "string" && (text.length > 160 || text.includes("\n"));
  if (!long) return html`<span class="mono path">${text === "" ? html`<span class="faint">empty</span>` : text}</span> <span class="faint">${m.type}</span>`;
  const shown = folded ? text.slice(0, 160).replaceAll("\n", " ") + "…" : text;
  return html`<span class=${`mono path ${folded ? "" : "whole"}`}>${shown}</span> <span class="faint num">${m.type} of ${exact(m.length || text.length)} characters${m.length ? ", the beginning is shown" : ""}</span>
    <button type="button" class="small quiet" aria-expanded=${String(!folded)} onClick=${() => { fold(!folded); }}>${folded ? "Show" : "Fold"}<span class="unseen"> ${m.key}</span></button> <${Copy} text=${text} what=${m.key} />`;
}
