// The jobs that wait, in the order in which they will start, and the means to change it.
import { html, useEffect, useRef, useState } from "../vendor/preact.js";
import { post } from "./api.js";
import { bytes } from "./format.js";
import { jobs, queue } from "./live.js";
import { Failure, JobActions, say } from "./parts.js";
import { Link } from "./router.js";

/** @typedef {import("./contract").Job} Job */

const ways = [["first", "First"], ["earlier", "Earlier"], ["later", "Later"]];

/** @param {{shown: Job[]}} p shown: those that the filters leave */
export function Queue({ shown }) {
  const [error, setError] = useState(/** @type {any} */ (null));
  const order = queue.value;
  const moved = useRef(/** @type {{id: string, to: string, from: number} | null} */ (null));
  const list = [...shown].sort((a, b) => order.indexOf(a.id) - order.indexOf(b.id));
  useEffect(() => { // the row went elsewhere: the focus goes with it, and who can't see it hears where
    const m = moved.current;
    if (!m || order.indexOf(m.id) === m.from) return;
    moved.current = null;
    document.getElementById(`move-${m.to}-${m.id}`)?.focus();
    say(`${jobs.value.get(m.id)?.name}: number ${order.indexOf(m.id) + 1} in the queue`);
  }, [order.join()]);
  const move = async (/** @type {string} */ id, /** @type {string} */ to) => {
    setError(null);
    moved.current = { id, to, from: order.indexOf(id) };
    try { await post(`/quantize/jobs/${id}/move`, { to }); } catch (e) { setError(e); }
  };
  return html`<section class="waiting-jobs" aria-label="Queue"><h2>Queue</h2>
    ${error && html`<${Failure} title="The job was not moved" error=${error} />`}
    <ol class="queue plain panel">${list.map((j) => {
    const place = order.indexOf(j.id);
    const size = j.outputs.reduce((n, o) => n + (o.file_size ?? 0), 0);
    return html`<li key=${j.id} class="job queued">
      <span class="place num" aria-hidden="true">${place + 1}</span>
      <div class="what"><h3><${Link} href=${`/jobs/${j.id}`}>${j.name}<//></h3><p class="faint"><span class="unseen">Number ${place + 1} in the queue. </span>${place === 0 ? "Next in the queue. " : ""}<span class="mono">${j.gguf_quant_types.join(", ")}</span>, <span class="num">${bytes(size)}</span></p></div>
      <div class="actions">${order.length > 1 && ways.map(([to, label]) => {
      const end = to === "later" ? place === order.length - 1 : place === 0;
      return html`<button type="button" class="quiet" id=${`move-${to}-${j.id}`} aria-disabled=${String(end)} onClick=${() => { if (!end) move(j.id, to); }}>${label}<span class="unseen"> in the queue: ${j.name}</span></button>`;
    })}<${JobActions} job=${j} /></div>
    </li>`;
  })}</ol></section>`;
}
