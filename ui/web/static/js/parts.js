// Pieces that several views use.
import { html, signal, useEffect, useRef, useState } from "../vendor/preact.js";
import { post, remove } from "./api.js";
import { bytes, count, percent } from "./format.js";
import { active, drop, load } from "./live.js";

/** @typedef {import("./contract").Job} Job */

/** Says something to those who can't see what changed. */
const spoken = signal("");
/** @param {string} text */
export const say = (text) => { spoken.value = ""; setTimeout(() => { spoken.value = text; }, 50); };
export const Speaker = () => html`<div class="unseen" role="status" aria-live="polite">${spoken}</div>`;

/** @param {{text: string, label?: string, what?: string}} p */
export function Copy({ text, label = "Copy", what = "" }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch { // an insecure origin has no clipboard
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    setDone(true);
    say("copied");
    setTimeout(() => setDone(false), 1500);
  };
  return html`<button type="button" class="quiet small" onClick=${copy} aria-label=${what ? `${label} ${what}` : undefined}>${done ? "Copied" : label}</button>`;
}

/** A command, whole, with a button to copy it. @param {{text: string, what?: string}} p */
export const Command = ({ text, what = "command" }) => html`<div class="command"><code tabindex="0" role="group" aria-label=${what}>${text}</code><${Copy} text=${text} what=${what} /></div>`;

/** @param {{error: any, children?: any, title?: string}} p */
export function Failure({ error, title, children }) {
  return html`<div class="notice bad" role="alert">
    <p><strong>${title ? `${title}: ` : ""}</strong>${error?.message ?? String(error)}</p>
    ${error?.hint && html`<p class="hint">${error.hint}</p>`}
    ${children}
  </div>`;
}

/** @param {{kind?: string, children?: any}} p */
export const Notice = ({ kind = "", children }) => html`<div class=${`notice ${kind}`}>${children}</div>`;

/** @param {{value: number, label: string, state?: string}} p 0..100 */
export const Bar = ({ value, label, state = "" }) => html`<div class=${`bar ${state}`} role="progressbar" aria-label=${label}
  aria-valuenow=${Math.round(value)} aria-valuemin="0" aria-valuemax="100"><div style=${{ width: `${Math.min(100, value)}%` }}></div></div>`;

const words = {
  queued: "Queued", downloading: "Downloading", preparing: "Preparing", quantizing: "Quantizing", completed: "Completed", failed: "Failed",
  cancelled: "Cancelled", interrupted: "Interrupted", pending: "Waiting", running: "Running",
};

/** @param {{status: string}} p */
export const State = ({ status }) => html`<span class=${`state ${status}`}><span class="dot" aria-hidden="true"></span>${words[status] ?? status}</span>`;

/** A placeholder of the size of what is loading. @param {{lines?: number, label?: string}} p */
export const Loading = ({ lines = 3, label = "Loading" }) => html`<div class="loading" role="status" aria-label=${label}>${Array.from({ length: lines }, () => html`<div></div>`)}</div>`;

// One dialog for the whole page: asks before something is lost.
/** @type {import("../vendor/preact.js").Signal<null | {title: string, body: any, confirm: any, keep: string, run: () => Promise<void>}>} */
const question = signal(null);

/** @param {{title: string, body: any, confirm: any, keep?: string, run: () => Promise<void>}} q */
export const ask = (q) => { question.value = { keep: "Keep it", ...q }; };

export function Asking() {
  const q = question.value;
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    setError(null);
    setBusy(false);
    if (q && !dialog.current?.open) dialog.current?.showModal();
    if (!q) dialog.current?.close();
  }, [q]);
  const run = async () => {
    setBusy(true);
    try {
      await q?.run();
      question.value = null;
    } catch (e) {
      setError(e);
      setBusy(false);
    }
  };
  return html`<dialog ref=${dialog} aria-labelledby="question" onClose=${() => { question.value = null; }}>
    ${q && html`<h2 id="question">${q.title}</h2>
      <div class="stack">${typeof q.body === "function" ? html`<${q.body} />` : q.body}</div>
      ${error && html`<${Failure} error=${error} />`}
      <div class="actions end">
        <button type="button" class="quiet" onClick=${() => { question.value = null; }}>${q.keep}</button>
        <button type="button" class="danger" disabled=${busy} onClick=${run}>${typeof q.confirm === "function" ? html`<${q.confirm} />` : q.confirm}</button>
      </div>`}
  </dialog>`;
}

/** Asks whether to stop a job for good. @param {Job} job */
export function askCancel(job) {
  const made = job.outputs.filter((o) => o.status === "completed").length;
  ask({
    title: `Cancel “${job.name}”?`,
    body: html`<p>It stops at ${percent(job.progress)}. ${made ? `${count(made, "finished file")} stay. ` : ""}Unfinished files are removed; a retry begins anew.</p>`,
    confirm: "Cancel the job", keep: "Keep it running",
    run: async () => { await post(`/quantize/jobs/${job.id}/cancel`); say("cancelled"); },
  });
}

/** Asks whether to delete a job, and says what that frees. @param {Job} job @param {() => void} [then] */
export function askDelete(job, then) {
  const made = job.outputs.filter((o) => o.status === "completed");
  const size = made.reduce((n, o) => n + (o.file_size ?? 0), 0);
  const files = signal(false);
  ask({
    title: `Delete “${job.name}”?`,
    body: () => html`
      <p>The job and its log go. ${made.length ? "" : "It left no finished file."}</p>
      ${made.length > 0 && html`<label class="check"><input type="checkbox" checked=${files.value} onChange=${(/** @type {any} */ e) => { files.value = e.target.checked; }} />
        <span>Delete ${made.length === 1 ? "its file" : `its ${made.length} files`} too, which frees ${bytes(size)}</span></label>`}`,
    confirm: () => html`${files.value ? `Delete job and ${count(made.length, "file")}, free ${bytes(size)}` : "Delete the job"}`,
    run: async () => {
      await remove(`/quantize/jobs/${job.id}${files.value ? "?files=true" : ""}`);
      drop(job.id);
      say("deleted");
      then?.();
    },
  });
}

/** What can be done with a job in its state. @param {{job: Job, gone?: () => void}} p */
export function JobActions({ job, gone }) {
  const [error, setError] = useState(/** @type {any} */ (null));
  const act = async (/** @type {string} */ what) => {
    setError(null);
    try {
      await post(`/quantize/jobs/${job.id}/${what}`);
      await load();
      say(what === "resume" ? "goes on" : "starts again");
    } catch (e) { setError(e); }
  };
  const of = html`<span class="unseen"> ${job.name}</span>`;
  return html`<div class="actions">
    ${active(job) && html`<button type="button" class="quiet" disabled=${job.cancel_requested} onClick=${() => askCancel(job)}>${job.cancel_requested ? "Cancelling…" : "Cancel"}${of}</button>`}
    ${(job.status === "interrupted" || (job.status === "failed" && job.resumable)) && html`<button type="button" onClick=${() => act("resume")}>Resume${of}</button>`}
    ${["failed", "cancelled"].includes(job.status) && html`<button type="button" class="quiet" onClick=${() => act("retry")}>Retry${of}</button>`}
    ${!active(job) && html`<button type="button" class="quiet" onClick=${() => askDelete(job, gone)}>Delete${of}</button>`}
    ${error && html`<${Failure} error=${error} />`}
  </div>`;
}
