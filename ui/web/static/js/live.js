// What the page knows of jobs, kept true by events. A hidden page closes its stream, so that many tabs don't use up
// the browser's connections; when it is shown again, it catches up.
import { batch, computed, signal } from "../vendor/preact.js";
import { get, signedOut } from "./api.js";

/** @typedef {import("./contract").Job} Job */

/** All jobs by id. @type {import("../vendor/preact.js").Signal<Map<string, Job>>} */
export const jobs = signal(new Map());
export const loaded = signal(false);
/** Why the jobs could not be loaded. @type {import("../vendor/preact.js").Signal<Error | null>} */
export const loadError = signal(null);
/** When the connection was lost; 0 while there is one. */
export const lostSince = signal(0);
/** The server has another version than this page. */
export const outdated = signal(false);
/** Ids of jobs that were deleted while the page looked. @type {Set<string>} */
export const deleted = new Set();

export const active = (/** @type {Job} */ j) => ["queued", "downloading", "preparing", "quantizing"].includes(j.status);
export const newestFirst = computed(() => [...jobs.value.values()].sort((a, b) => b.created_at.localeCompare(a.created_at)));
export const anyActive = computed(() => newestFirst.value.some(active));
/** Ids of queued jobs in the order in which they will start. */
export const queue = computed(() => newestFirst.value.filter((j) => j.status === "queued").reverse().sort((a, b) => b.priority - a.priority).map((j) => j.id));

/** @param {Job} job */
export function put(job) {
  const old = jobs.value.get(job.id);
  jobs.value = new Map(jobs.value).set(job.id, old && !job.estimate ? { ...job, estimate: old.estimate } : job);
}

/** @param {string} id */
export function drop(id) {
  deleted.add(id);
  const next = new Map(jobs.value);
  next.delete(id);
  jobs.value = next;
}

const pageVersion = document.querySelector('meta[name="nexus-quant-version"]')?.getAttribute("content");

export async function load() {
  try {
    const list = await get("/quantize/jobs?limit=1000");
    batch(() => {
      jobs.value = new Map(list.jobs.map((/** @type {Job} */ j) => [j.id, j]));
      loaded.value = true;
      loadError.value = null;
    });
  } catch (e) {
    loadError.value = /** @type {Error} */ (e);
  }
}

/**
 * Follows a stream of events until the returned function is called. Comes back by itself, from the last event on.
 * @param {string} url
 * @param {{on: (type: string, data: any, id: number) => void, opened?: (again: boolean) => void, lost?: () => void}} o
 */
export function follow(url, { on, opened, lost }) {
  /** @type {EventSource | null} */
  let source = null;
  let timer = 0, wait = 1000, last = 0, again = false, ended = false;
  const open = () => {
    clearTimeout(timer);
    if (ended || document.hidden) return;
    const s = (source = new EventSource(last ? `${url}${url.includes("?") ? "&" : "?"}after=${last}` : url));
    s.onopen = () => { wait = 1000; opened?.(again); again = true; };
    s.onerror = () => { // a closed one does not come back by itself, and one that waits may wait long
      s.close();
      if (ended || source !== s) return;
      lost?.();
      timer = setTimeout(open, wait);
      wait = Math.min(wait * 1.5, 5000);
    };
    for (const type of ["snapshot", "progress", "output", "state", "log", "verification"]) {
      s.addEventListener(type, (e) => {
        last = Number(e.lastEventId) || last;
        on(type, JSON.parse(e.data), last);
      });
    }
    s.addEventListener("reconnect", () => { s.close(); timer = setTimeout(open, wait); });
  };
  const shown = () => { if (document.hidden) { source?.close(); source = null; } else if (!source || source.readyState === 2) open(); };
  const leave = () => source?.close();
  document.addEventListener("visibilitychange", shown);
  addEventListener("pagehide", leave);
  open();
  return () => {
    ended = true;
    clearTimeout(timer);
    source?.close();
    document.removeEventListener("visibilitychange", shown);
    removeEventListener("pagehide", leave);
  };
}

/** Keeps the jobs true as long as the page is open. */
export function start() {
  load();
  follow("/api/v1/quantize/events", {
    opened: async (again) => {
      batch(() => { lostSince.value = 0; signedOut.value = false; });
      if (!again) return;
      load(); // a server that was away may have lost what is between, and found what was running before
      try {
        outdated.value = (await get("//healthz")).version !== pageVersion;
      } catch { /* the stream tells when there is no server */ }
    },
    lost: () => {
      if (!lostSince.value) lostSince.value = Date.now();
      get("//healthz").catch(() => {}); // is it away, or does it not know this browser?
    },
    on: (type, data) => {
      if (type === "snapshot") put(data);
      if (type === "state" && data.status === "deleted") drop(data.job_id);
    },
  });
}
