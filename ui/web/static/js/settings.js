// How the server is doing, and what it works with.
import { html, useEffect, useState } from "../vendor/preact.js";
import { get, signOut } from "./api.js";
import { Disk } from "./charts.js";
import { budget } from "./draft.js";
import { bytes, count, gib } from "./format.js";
import { lostSince, newestFirst } from "./live.js";
import { Command, Copy, Failure, Loading, Notice } from "./parts.js";

const who = document.querySelector('meta[name="nexus-quant-access"]')?.getAttribute("content");

/** Who is let in, and the way out. */
function access() {
  if (who === "token") return html`<p>The server asks for its token, and this browser has shown it.</p><p class="actions"><button type="button" onClick=${signOut}>Sign out</button></p>`;
  if (who === "open") return html`<p class="warn">Everybody who reaches this address can start and delete jobs: the server was started with <code>--insecure</code>.</p>`;
  return html`<p>Only this machine reaches the server, and needs no token.</p>`;
}

export function Settings() {
  const [health, setHealth] = useState(/** @type {import("./contract").Health | null} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [again, setAgain] = useState(0);
  const busy = newestFirst.value.filter((j) => ["downloading", "preparing", "quantizing"].includes(j.status));
  useEffect(() => { get("//healthz").then((h) => { setHealth(h); setError(null); }, setError); }, [again, busy.length, lostSince.value === 0]);
  const planned = busy.reduce((n, j) => n + (j.estimate?.output_bytes ?? 0), 0);
  const path = (/** @type {string} */ p) => html`<li class="folder"><code class="path">${p}</code> <${Copy} text=${p} what=${p} /> <span class="faint">${p === health?.output_dir ? "files go here" : p === health?.models_dir ? "models" : ""}</span></li>`;
  return html`<main>
    <div class="title"><h1 tabindex="-1">Settings and health</h1></div>
    ${error && html`<${Failure} error=${error}><button type="button" onClick=${() => setAgain(again + 1)}>Try again</button><//>`}
    ${!health && !error && html`<${Loading} lines=${5} label="Asking the server" />`}
    ${health && html`
      ${health.status !== "ok" && html`<${Notice} kind="bad"><p><strong>Not well:</strong> ${health.error}</p><//>`}
      <dl class="tiles panel">
        <div><dt>Server</dt><dd>${health.status === "ok" ? "Running well" : health.status}</dd></div>
        <div><dt>Version</dt><dd class="mono">${health.version}</dd></div>
        <div><dt>Jobs</dt><dd>${health.running_jobs + health.queued_jobs ? `${health.running_jobs} running, ${health.queued_jobs} waiting` : "None"}</dd></div>
        <div><dt>Jobs at once</dt><dd class="num">${health.concurrency}</dd></div>
        <div><dt>Threads of a job</dt><dd class="num">${health.threads || "all cores"}</dd></div>
        <div><dt>Memory of a job</dt><dd class="num">${gib(health.max_memory_bytes)}</dd></div>
      </dl>
      <div class="halves">
      <section aria-label="Disk"><h2>Disk</h2><p class="faint">Where the files go.</p><${Disk} disk=${health.disk_bytes} free=${health.free_disk_bytes} files=${planned} download=${0} />
        ${busy.length > 0 && html`<p class="faint">For ${count(busy.length, "running job")}; what they wrote already is part of it.</p>`}</section>
      <section aria-label="Folders"><h2>Folders</h2><p>Jobs may read models below these, and write files there:</p><ul class="plain">${health.folders.map(path)}</ul>
        <p class="faint"><code>serve --allow-path DIR</code> adds one.</p></section>
      <section aria-label="Hugging Face"><h2>Hugging Face</h2><p>${health.hf_token ? "A token is set: private and gated models can be read, as far as it allows." : "No token is set: public models only. Start the server with HF_TOKEN for private and gated ones."}</p></section>
      <section aria-label="Access"><h2>Access</h2>${access()}</section>
      <section aria-label="Your machine"><h2>Memory to fit into</h2><div class="field inline"><label for="default-budget">RAM or VRAM of the machine that will run the models, GiB</label>
        <input id="default-budget" type="number" min="1" value=${budget.value} onInput=${(/** @type {any} */ e) => { const n = Number(e.target.value); if (n > 0) budget.value = n; }} /></div><p class="faint">Kept in this browser. The wizard and the registry show what fits.</p></section>
      <section aria-label="Interface"><h2>For programs</h2><p><a href="/docs">Description of the HTTP interface</a>, <a href="/openapi.json">OpenAPI</a>, <a href="/metrics">metrics</a>, <a href="/healthz">health</a>.</p>
        <${Command} text=${`curl -s ${location.origin}/api/v1/quantize/jobs`} what="command to list jobs" /></section>
      <section aria-label="Built with"><h2>Built with</h2><p>Preact, htm and signals, <a href="/static/vendor/LICENSES.txt">under their licences</a>. The page loads nothing from elsewhere and works offline.</p></section>
      </div>`}
  </main>`;
}
