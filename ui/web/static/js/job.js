// One job: the run as a picture, what it made, what it said.
import { html, useEffect, useMemo, useRef, useState } from "../vendor/preact.js";
import { get, modelPath, post } from "./api.js";
import { Throughput } from "./charts.js";
import { between, bits, bytes, count, duration, exact, percent, rate, shell, when } from "./format.js";
import { inspectLink } from "./inspect.js";
import { find, standing, step } from "./jobs.js";
import { active, deleted, follow, loaded, put } from "./live.js";
import { Bar, Command, Copy, Failure, JobActions, Loading, Notice, State } from "./parts.js";
import { go, Link } from "./router.js";
import { wallCells } from "./new.js";
import { Wall } from "./wall.js";

/** @typedef {import("./contract").Job} Job */
/** @typedef {import("./contract").LogEvent} LogEvent */

/** @param {{id: string}} p */
export function JobPage({ id }) {
  const job = find(id);
  const [error, setError] = useState(/** @type {any} */ (null));
  useEffect(() => {
    if (job || !loaded.value || deleted.has(id)) return;
    get(`/quantize/jobs/${encodeURIComponent(id)}`).then(put, setError);
  }, [id, job, loaded.value]);
  if (job) return html`<${Known} key=${job.id} job=${job} />`;
  return html`<main><div class="title"><h1 tabindex="-1">Job</h1></div>
    ${deleted.has(id) ? html`<${Notice}><p>This job was deleted.</p><//>` : error ? html`<${Failure} error=${error} />` : html`<${Loading} lines=${5} label="Loading the job" />`}
    ${(error || deleted.has(id)) && html`<p><${Link} href="/jobs" class="button">All jobs<//></p>`}
  </main>`;
}

/** What the job's stream told, gathered. @param {Job} job */
function useRun(job) {
  const [run, setRun] = useState({ samples: /** @type {any[]} */ ([]), log: /** @type {any[]} */ ([]), last: /** @type {any} */ (null) });
  const state = useRef({ samples: /** @type {any[]} */ ([]), log: /** @type {any[]} */ ([]), last: /** @type {any} */ (null), seq: 0 });
  const alive = active(job) || job.status === "interrupted";
  useEffect(() => {
    let stop = () => {};
    let gone = false, planned = 0;
    const show = () => { planned = 0; setRun({ samples: thin(state.current.samples), log: [...state.current.log], last: state.current.last }); };
    const later = () => { if (!planned) planned = setTimeout(show, 100); };
    const take = (/** @type {LogEvent} */ e) => {
      const s = state.current;
      if (e.seq <= s.seq) return;
      s.seq = e.seq;
      if (e.type === "progress") {
        s.last = e.data;
        s.samples.push({ t: Date.parse(e.time) / 1000, v: e.data.bytes_per_second, stage: e.data.stage });
        return;
      }
      if (e.type === "state" && e.data.status === "preparing") s.last = null;
      s.log.push(e);
      if (s.log.length > 500) s.log.splice(0, s.log.length - 400);
    };
    (async () => {
      try {
        for (const e of await get(`/quantize/jobs/${job.id}/logs?tail=4000`)) take({ ...e, msg: e.msg ?? e.message });
      } catch { /* a job without a log has nothing to show */ }
      if (gone) return;
      show();
      if (!alive) return;
      stop = follow(`/api/v1/quantize/jobs/${job.id}/events?after=${state.current.seq || 1}`, {
        on: (type, data, seq) => {
          if (type === "snapshot") { put(data); return; }
          take({ seq, time: data.time ?? new Date().toISOString(), type, level: data.level, msg: data.msg, data: type === "log" ? data.data : data });
          later();
        },
      });
    })();
    return () => { gone = true; clearTimeout(planned); stop(); };
  }, [job.id, alive]);
  return run;
}

/** At most so many samples as can be seen. @param {any[]} list */
function thin(list) {
  const most = 400;
  if (list.length <= most) return list.slice();
  const every = list.length / most;
  return Array.from({ length: most }, (_, i) => list[Math.min(list.length - 1, Math.floor((i + 1) * every) - 1)]);
}

/** @param {{job: Job}} p */
function Known({ job }) {
  const run = useRun(job);
  const running = active(job) && job.status !== "queued";
  const [estimate, setEstimate] = useState(/** @type {import("./contract").Estimate | null} */ (null));
  useEffect(() => { // the tensors are not part of a job: they come from the headers of its source
    const ask = new AbortController();
    const { use_imatrix: imatrix, ...config } = job.config;
    post("/quantize/estimate?tensors=true", {
      source_model: job.source_model, output_formats: ["gguf"], gguf_quant_types: job.gguf_quant_types, config: imatrix ? job.config : config,
      ...(job.source_type === "huggingface" && (job.commit ?? job.revision) ? { revision: job.commit ?? job.revision } : {}),
    }, ask.signal).then(setEstimate, () => {});
    return () => ask.abort();
  }, [job.id]);
  const last = run.last;
  const total = last?.items ?? estimate?.tensors?.length ?? 0;
  const cells = useMemo(() => {
    if (estimate?.tensors) return wallCells(estimate, estimate.outputs.map((_, i) => i));
    return [];
  }, [estimate]);
  const index = useMemo(() => new Map(cells.map((c, i) => [c.name, i])), [cells]);
  const quantizing = last?.stage === "quantizing";
  const finished = job.status === "completed" || last?.stage === "verifying";
  const done = finished ? cells.length : quantizing ? last.items_done : 0;
  const current = running && quantizing ? index.get(last.item) ?? -1 : -1;
  const size = job.outputs.reduce((n, o) => n + (o.file_size ?? 0), 0);
  return html`<main class="job-page">
    <div class="title">
      <div><p class="crumb"><${Link} href="/jobs">Jobs<//></p><h1 tabindex="-1">${job.name}</h1><p class="path mono faint">${job.source_model}${job.commit ? ` @ ${job.commit.slice(0, 8)}` : ""}</p></div>
      <div class="title-side"><${State} status=${job.status} /><${JobActions} job=${job} gone=${() => go("/jobs")} /></div>
    </div>
    ${job.description && html`<p>${job.description}</p>`}
    ${job.status === "failed" && html`<${Notice} kind="bad"><p><strong>${job.error}</strong></p>${job.hint && html`<p class="hint">${job.hint}</p>`}${(job.missing_bytes ?? 0) > 0 && html`<p>Free ${bytes(job.missing_bytes)} and resume.</p>`}${job.resumable && html`<p>What is done is kept: resume goes on from there.</p>`}<//>`}
    ${job.status === "interrupted" && html`<${Notice} kind="warning"><p>This job was stopped at ${percent(job.progress)}. What is done is kept: resume goes on at the last finished tensor.</p><//>`}
    <section class="panel" aria-label="Progress">
      <div class="progress big"><${Bar} value=${job.progress} label="Progress of the job" state=${job.status} /><span class="num">${percent(job.progress)}</span></div>
      <p>${job.status === "failed" ? `Stopped at ${percent(job.progress)}.` : running && last && !job.cancel_requested ? step(`${last.stage} ${last.items_done} of ${last.items}`) : standing(job)}</p>
      <dl class="tiles">
        ${running && html`<div><dt>Rate</dt><dd class="num">${rate(job.bytes_per_second)}</dd></div><div><dt>Left</dt><dd class="num">${job.eta_seconds > 0 ? duration(job.eta_seconds) : "–"}</dd></div>`}
        <div><dt>${job.completed_at ? "Took" : "Running for"}</dt><dd class="num">${job.started_at ? duration(between(job.started_at, job.completed_at)) : "–"}</dd></div>
        <div><dt>Tensors</dt><dd class="num">${total ? (finished ? exact(cells.length || total) : `${last?.stage === "quantizing" ? last.items_done : 0} of ${total}`) : "–"}</dd></div>
        <div><dt>Files</dt><dd class="num">${job.completed_outputs} of ${job.total_outputs}</dd></div>
        <div><dt>Size</dt><dd class="num">${bytes(size || job.estimate?.output_bytes)}</dd></div>
      </dl>
    </section>
    ${job.status === "completed" && html`<${Next} job=${job} />`}
    <section aria-label="Files"><h2>Files</h2><${Outputs} job=${job} /></section>
    <section aria-label="Tensors"><h2>Tensors</h2>
      ${cells.length > 0 ? html`<${Wall} cells=${cells} outputs=${estimate?.outputs.map((o) => o.type) ?? []} done=${job.status === "completed" ? undefined : done} current=${current} label="The tensors of this job" />
          ${running && html`<p class="faint mono line" aria-hidden="true">${current >= 0 ? last.item : last?.stage === "verifying" ? `reading back ${last.item}` : "\u00a0"}</p>`}`
    : html`<p class="faint">${estimate ? "" : "The headers of the source can't be read from here, so its tensors are not drawn."}</p>`}
    </section>
    <section aria-label="Throughput"><h2>Throughput</h2><${Throughput} samples=${run.samples} over=${!active(job)} /></section>
    <section aria-label="Log"><h2>Log</h2><${Log} events=${run.log} /></section>
    <section aria-label="Details"><h2>Details</h2><${Details} job=${job} /></section>
  </main>`;
}

/** What to do with a finished job. @param {{job: Job}} p */
function Next({ job }) {
  const made = job.outputs.filter((o) => o.status === "completed" && o.file_path);
  if (!made.length) return null;
  const id = job.estimate?.model;
  return html`<section class="panel next" aria-label="What next"><h2>Run it</h2>
    <${Command} text=${`llama-server -m ${shell(made[0].file_path ?? "")}`} what="command to run the first file" />
    <p class="actions">${id && html`<${Link} class="button" href=${`/registry/${modelPath(id).replace("%2F", "/")}`}>Compare in the registry<//>`}</p></section>`;
}

/** @param {{job: Job}} p */
const Outputs = ({ job }) => html`<div class="scroll" tabindex="0" role="region" aria-label="Files of this job"><table class="table fold made">
  <thead><tr><th>Type</th><th>State</th><th class="right">Size</th><th class="right">Bits a weight</th><th class="right">RMSE</th><th>SHA-256</th><th></th></tr></thead>
  <tbody>${job.outputs.map((o) => html`<tr>
    <th class="mono">${o.quant_type}</th>
    <td>${active(job) && job.status !== "queued" && o.status !== "completed" ? html`<${Bar} value=${o.progress} label=${`Progress of ${o.quant_type}`} />` : html`<${State} status=${o.status} />`}${o.error && html`<div class="misfits">${o.error}</div>`}</td>
    <td class="right num" data-label="Size" title=${o.file_size ? `${exact(o.file_size)} bytes` : ""}>${bytes(o.file_size)}</td>
    <td class="right num" data-label="Bits a weight">${o.bits_per_weight ? bits(o.bits_per_weight) : "–"}</td>
    <td class="right num" data-label="RMSE">${o.rmse ? o.rmse.toExponential(2) : "–"}</td>
    <td class="nowrap" data-label="SHA-256">${o.sha256 ? html`<code title=${o.sha256}>${o.sha256.slice(0, 8)}…</code> <${Copy} text=${o.sha256} what=${`SHA-256 of ${o.quant_type}`} />` : "–"}</td>
    <td class="right"><div class="actions end">${o.status === "completed" && html`<a class="button small" href=${`/api/v1/quantize/jobs/${job.id}/outputs/${o.id}/download`} download>Download<span class="unseen"> ${o.quant_type}</span></a>
      ${job.config.provenance && html`<a class="button small" href=${`/api/v1/quantize/jobs/${job.id}/outputs/${o.id}/provenance`} download=${`${o.quant_type}.provenance.json`}>Provenance<span class="unseen"> of ${o.quant_type}</span></a>`}
      <${Link} class="button small" href=${inspectLink(o.file_path ?? "")}>Inspect<span class="unseen"> ${o.quant_type}</span><//><${Copy} text=${o.file_path ?? ""} label="Copy path" what=${`of ${o.quant_type}`} />`}</div></td>
  </tr>`)}</tbody></table></div>`;

/** @param {{events: LogEvent[]}} p */
function Log({ events }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const stick = useRef(true);
  useEffect(() => { if (box.current && stick.current) box.current.scrollTop = box.current.scrollHeight; }, [events]);
  if (!events.length) return html`<p class="faint">Nothing yet.</p>`;
  return html`<div class="log mono" ref=${box} tabindex="0" role="log" aria-label="Log of the job" onScroll=${(/** @type {any} */ e) => { const b = e.target; stick.current = b.scrollHeight - b.scrollTop - b.clientHeight < 24; }}>
    ${events.map((e) => html`<div key=${e.seq} class=${(e.level ?? "").toLowerCase()}><time class="faint">${when(e.time)}</time> <span>${line(e)}</span></div>`)}
  </div>`;
}

/** @param {LogEvent} e */
function line(e) {
  if (e.type === "state") return `state: ${e.data?.status}`;
  if (e.type === "output") return `${e.data?.quant_type} ${e.data?.status}${e.data?.file_path ? `: ${e.data.file_path}, ${bytes(e.data.file_size)}` : ""}${e.data?.error ? `: ${e.data.error}` : ""}`;
  const rest = e.data && Object.keys(e.data).length ? ` ${Object.entries(e.data).filter(([, v]) => v !== "").map(([k, v]) => `${k}=${typeof v === "string" ? v : JSON.stringify(v)}`).join(" ")}` : "";
  return `${e.level && e.level !== "INFO" ? `${e.level.toLowerCase()}: ` : ""}${e.msg ?? ""}${rest}`;
}

/** @param {{job: Job}} p */
function Details({ job }) {
  const options = Object.entries(job.config).filter(([, v]) => v !== false && v !== "" && v != null && v !== 0).map(([k, v]) => `${k}: ${typeof v === "object" ? JSON.stringify(v) : v}`);
  /** @type {[string, any][]} */
  const rows = [
    ["Id", html`<code>${job.id}</code> <${Copy} text=${job.id} what="id of the job" />`], ["Source", html`<span class="mono path">${job.source_model}</span>`],
    ["Commit", job.commit ? html`<code>${job.commit}</code>` : null], ["Architecture", job.model_architecture], ["Created", when(job.created_at)], ["Started", job.started_at ? when(job.started_at) : null],
    ["Ended", job.completed_at ? when(job.completed_at) : null], ["Attempts", job.attempts > 1 ? exact(job.attempts) : null], ["Priority", job.priority || null],
    ["Weights read", job.estimate ? bytes(job.estimate.source_bytes) : null], ["Options", html`<span class="mono">${options.join("\n")}</span>`],
    ["Warnings", job.estimate?.warnings.length ? html`<ul class="plain">${job.estimate.warnings.map((w) => html`<li>${w}</li>`)}</ul>` : null],
  ];
  if (job.config.provenance) rows.push(["Provenance", html`A statement of origin (in-toto, SLSA) lies beside each file: sources with their hashes, options, version.`]);
  return html`<dl class="details">${rows.filter(([, v]) => v !== null && v !== undefined).map(([k, v]) => html`<div><dt>${k}</dt><dd>${v}</dd></div>`)}</dl>
    <p class="faint">${count(job.total_outputs, "file")} of one pass over the weights.</p>`;
}
