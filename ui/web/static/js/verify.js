// Reading the files of a model again: are they still what was registered?
import { html, useEffect, useState } from "../vendor/preact.js";
import { get, modelPath, post } from "./api.js";
import { bytes, count, duration, percent, rate, shell, when } from "./format.js";
import { follow } from "./live.js";
import { Bar, Command, Failure, Notice, say } from "./parts.js";

/** @typedef {import("./contract").VerifyRun} VerifyRun */

/** @param {{id: string, files: number}} p id: of the model */
export function Verify({ id, files }) {
  const [run, setRun] = useState(/** @type {VerifyRun | null} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const base = `/registry/models/${modelPath(id)}/verification`;
  useEffect(() => { get(base).then(setRun, setError); }, [base]);
  const running = run?.status === "running";
  useEffect(() => {
    if (!running) return;
    const stop = follow(`/api/v1${base}/events`, {
      on: (type, data) => {
        if (type !== "verification") return;
        setRun(data);
        if (data.status === "running") return;
        stop();
        say(data.status === "cancelled" ? "verification cancelled" : data.ok ? "all files are what was registered" : "some files are not what was registered");
      },
    });
    return stop;
  }, [base, running]);
  const act = async (/** @type {string} */ path) => {
    setError(null);
    try { setRun(await post(base + path)); } catch (e) { setError(e); }
  };
  const bad = run?.files.filter((f) => f.status === "failed") ?? [];
  return html`<section aria-label="Verify" class="verify"><h2>Verify</h2>
    <p class="faint">Reads every file from its first byte to its last: its SHA-256 must be the one that was registered, and every scale finite.</p>
    ${error && html`<${Failure} error=${error} />`}
    ${running && run && html`<div class="panel stack">
      <div class="progress"><${Bar} value=${(100 * run.bytes_done) / Math.max(1, run.bytes_total)} label="Progress of the verification" /><span class="num">${percent((100 * run.bytes_done) / Math.max(1, run.bytes_total))}</span></div>
      <p><span class="num">${bytes(run.bytes_done)} of ${bytes(run.bytes_total)}</span> <span class="num faint">${run.bytes_per_second > 0 ? `${rate(run.bytes_per_second)}, ${duration(run.eta_seconds)} left` : "waits for the disk"}</span></p>
    </div>`}
    ${run?.status === "completed" && (run.ok ? html`<div class="notice good"><p><strong>All ${count(run.files.length, "file")} are what was registered.</strong></p><p class="faint">Read again ${when(run.completed_at)}.</p></div>`
    : !bad.length ? html`<${Notice}><p><strong>${run.files.filter((f) => f.status === "ok").length} of ${count(run.files.length, "file")} are what was registered.</strong> The others were not read again since they were made.</p><//>`
    : html`<${Notice} kind="bad"><p><strong>${bad.length} of ${count(run.files.length, "file")} ${bad.length === 1 ? "is" : "are"} not what was registered.</strong></p><p>Make ${bad.length === 1 ? "it" : "them"} anew with <code>nexus-quant jobs retry --force</code>, or copy ${bad.length === 1 ? "it" : "them"} back.</p><//>`)}
    ${run?.status === "cancelled" && html`<${Notice}><p>Cancelled ${when(run.completed_at)}, after ${bytes(run.bytes_done)} of ${bytes(run.bytes_total)}.</p><//>`}
    ${run && run.status !== "none" && html`<ul class="plain verified">${run.files.map((f) => html`<li key=${f.path} class=${f.status}><b class="mono">${f.quantization}</b><span>${{ pending: running ? "waits" : "not read", running: percent((100 * f.bytes_done) / Math.max(1, f.bytes_total)), ok: "as registered", failed: f.error }[f.status]}</span>${f.completed_at && html`<time class="faint num" datetime=${f.completed_at}>${when(f.completed_at)}</time>`}</li>`)}</ul>`}
    <div class="actions">${running ? html`<button type="button" class="quiet" onClick=${() => act("/cancel")}>Cancel<span class="unseen"> the verification</span></button>`
    : html`<button type="button" disabled=${!run} onClick=${() => act("")}>Verify ${count(files, "file")}${run && run.status !== "none" ? " again" : ""}</button>`}</div>
    <${Command} text=${`nexus-quant models verify ${shell(id)}`} what="command that does the same" />
  </section>`;
}
