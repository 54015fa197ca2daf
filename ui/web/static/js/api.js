// Calls of the HTTP interface.
import { signal } from "../vendor/preact.js";

/** The server does not know this browser any more: its token is another, or it signed out. */
export const signedOut = signal(false);

const base = "/api/v1";

/** A refusal, with its reason in words and, of a request's fields, which ones are wrong. */
export class Refusal extends Error {
  /** @param {number} status @param {any} body */
  constructor(status, body) {
    const fields = Array.isArray(body?.detail) ? body.detail : [];
    const text = fields.length ? fields.map((f) => `${f.loc.slice(1).join(".")}: ${f.msg}`).join("; ") : body?.detail;
    super(text || `the server answered ${status}`);
    this.status = status;
    /** @type {string} */
    this.hint = status === 401 ? "sign in again" : body?.hint ?? "";
    /** @type {{loc: string[], msg: string}[]} */
    this.fields = fields;
  }
}

/**
 * @param {string} method
 * @param {string} path below /api/v1, or from the root where it begins with "//"
 * @param {{body?: any, signal?: AbortSignal}} [o]
 */
async function call(method, path, { body, signal } = {}) {
  let r;
  try {
    r = await fetch(path.startsWith("//") ? path.slice(1) : base + path, {
      method, signal, headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (e) {
    if (signal?.aborted) throw e;
    throw new Refusal(0, { detail: "the server can't be reached", hint: "is nexus-quant serve still running?" });
  }
  signedOut.value = r.status === 401;
  if (r.status === 204) return null;
  const text = await r.text();
  if ((r.headers.get("Content-Type") ?? "").includes("ndjson")) return text.split("\n").filter(Boolean).map((l) => JSON.parse(l));
  let value = /** @type {any} */ (null);
  try { value = JSON.parse(text); } catch { /* said below */ }
  if (!r.ok && !(path === "//healthz" && value?.status)) throw new Refusal(r.status, value);
  return value;
}

/** @param {string} path @param {AbortSignal} [signal] */
export const get = (path, signal) => call("GET", path, { signal });
/** @param {string} path @param {any} [body] @param {AbortSignal} [signal] */
export const post = (path, body, signal) => call("POST", path, { body, signal });
/** @param {string} path */
export const remove = (path) => call("DELETE", path);
/** @param {Record<string, any>} params */
export const query = (params) => new URLSearchParams(Object.entries(params).filter(([, v]) => v !== "" && v != null)).toString();
/** Takes the token from this browser. */
export async function signOut() {
  await fetch("/logout", { method: "POST" });
  location.assign("/login");
}

/** The id of a model keeps its slash. @param {string} id */
export const modelPath = (id) => id.split("/").map(encodeURIComponent).join("%2F");
