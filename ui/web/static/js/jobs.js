// All jobs, live.
import { html, signal } from "../vendor/preact.js";
import { bytes, between, count, duration, percent, rate, when } from "./format.js";
import { active, jobs, load, loadError, loaded, newestFirst, queue } from "./live.js";
import { Bar, Failure, JobActions, Loading, State } from "./parts.js";
import { Queue } from "./queue.js";
import { Link } from "./router.js";

/** @typedef {import("./contract").Job} Job */

const filter = signal("all");
const search = signal("");

/** @type {Record<string, {label: string, has: (j: Job) => boolean}>} */
const filters = {
  all: { label: "All", has: () => true },
  active: { label: "Active", has: active },
  completed: { label: "Completed", has: (j) => j.status === "completed" },
  stopped: { label: "Failed or stopped", has: (j) => ["failed", "cancelled", "interrupted"].includes(j.status) },
};

export function Jobs() {
  const all = newestFirst.value;
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = all.filter((j) => filters[filter.value].has(j) && words.every((w) => `${j.name} ${j.source_model} ${j.model_architecture ?? ""} ${j.gguf_quant_types.join(" ")} ${j.id}`.toLowerCase().includes(w)));
  const waiting = found.filter((j) => j.status === "queued");
  const groups = [["Running", found.filter((j) => active(j) && j.status !== "queued")], ["Ended", found.filter((j) => !active(j))]];
  const several = [waiting.length, ...groups.map(([, l]) => l.length)].filter(Boolean).length > 1;
  const cards = (/** @type {any} */ [title, list]) => list.length > 0 && html`<section aria-label=${title}>${several && html`<h2>${title}</h2>`}
    <ul class="jobs plain">${list.map((/** @type {Job} */ j) => html`<li key=${j.id}><${JobCard} job=${j} /></li>`)}</ul></section>`;
  return html`<main>
    <div class="title"><h1 tabindex="-1">Jobs</h1><${Link} href="/quantization" class="button primary">New job<//></div>
    ${loadError.value && !loaded.value && html`<${Failure} title="The jobs could not be loaded" error=${loadError.value}><button type="button" onClick=${load}>Try again</button><//>`}
    ${!loaded.value && !loadError.value && html`<${Loading} lines=${4} label="Loading the jobs" />`}
    ${loaded.value && all.length === 0 && html`<div class="empty"><h2>No jobs yet</h2><p>A job turns one model into quantized files, all types in one pass over its weights.</p><${Link} href="/quantization" class="button primary">Make the first one<//></div>`}
    ${all.length > 0 && html`<div class="tools">
        <div class="tabs" role="group" aria-label="Which jobs">${Object.entries(filters).map(([k, f]) => html`<button type="button" aria-pressed=${String(filter.value === k)} onClick=${() => { filter.value = k; }}>${f.label} <span class="num">${all.filter(f.has).length}</span></button>`)}</div>
        <label class="unseen" for="search">Search in jobs</label>
        <input id="search" type="search" placeholder="Search name, model, type" value=${search.value} onInput=${(/** @type {any} */ e) => { search.value = e.target.value; }} />
      </div>
      ${cards(groups[0])}
      ${waiting.length > 0 && html`<${Queue} shown=${waiting} />`}
      ${cards(groups[1])}
      ${found.length === 0 && html`<div class="empty"><p>No job is like that.</p><button type="button" class="quiet" onClick=${() => { filter.value = "all"; search.value = ""; }}>Show all ${count(all.length, "job")}</button></div>`}`}
  </main>`;
}

/** Where a job stands, in a line. @param {Job} j */
export function standing(j) {
  const place = queue.value.indexOf(j.id);
  switch (j.status) {
    case "queued": return place < 0 ? "Waits for its turn." : place === 0 ? "Next in the queue." : `Number ${place + 1} in the queue.`;
    case "completed": {
      const size = j.outputs.reduce((n, o) => n + (o.file_size ?? 0), 0);
      return `Wrote ${count(j.completed_outputs, "file")}, ${bytes(size)}, in ${duration(between(j.started_at, j.completed_at))}.`;
    }
    case "failed": return `${j.error ?? "Failed."}`;
    case "cancelled": return `Cancelled ${when(j.completed_at)}.`;
    case "interrupted": return "Stopped; what is done is kept.";
    default: return j.cancel_requested ? "Stops as soon as it can." : j.current_step ? step(j.current_step) : "Reads the headers.";
  }
}

/** "quantizing 3 of 57" as a sentence. @param {string} s */
export function step(s) {
  const m = /^(\w+) (\d+) of (\d+)$/.exec(s);
  if (!m) return s;
  if (m[1] === "downloading") return `Downloads file ${Math.min(Number(m[2]) + 1, Number(m[3]))} of ${m[3]}.`;
  return m[1] === "quantizing" ? `${m[2]} of ${m[3]} tensors are quantized.` : `Reads back: ${m[2]} of ${m[3]} tensors are checked.`;
}

/** @param {{job: Job}} p */
function JobCard({ job }) {
  const running = active(job) && job.status !== "queued";
  return html`<article class=${`card job ${job.status}`} aria-label=${job.name}>
    <header><h3><${Link} href=${`/jobs/${job.id}`}>${job.name}<//></h3><${State} status=${job.status} /></header>
    <p class="faint path mono">${job.source_model}</p>
    ${running && html`<div class="progress"><${Bar} value=${job.progress} label=${`Progress of ${job.name}`} /><span class="num">${percent(job.progress)}</span></div>`}
    <p class=${job.status === "failed" ? "misfits clamp" : ""}>${standing(job)} ${running && html`<span class="num faint">${rate(job.bytes_per_second)}${job.eta_seconds > 0 ? `, ${duration(job.eta_seconds)} left` : ""}</span>`}</p>
    ${job.status === "failed" && job.hint && html`<p class="hint">${job.hint}</p>`}
    <ul class="outputs plain">${job.outputs.map((o) => html`<li><b class="mono">${o.quant_type}</b>
      ${running ? html`<${Bar} value=${o.progress} label=${`${o.quant_type} of ${job.name}`} state=${o.status} />` : html`<span class="faint">${o.status === "completed" ? "" : o.status}</span>`}
      <span class="num">${bytes(o.file_size)}</span></li>`)}</ul>
    <footer><span class="faint num">${when(job.created_at)}</span><${JobActions} job=${job} /></footer>
  </article>`;
}

export const find = (/** @type {string} */ id) => jobs.value.get(id) ?? (id.length >= 4 ? newestFirst.value.find((j) => j.id.startsWith(id)) : undefined);
