// The job that is being put together: what was chosen, and what the server says of it.
import { batch, computed, effect, signal } from "../vendor/preact.js";
import { get, post, query } from "./api.js";
import { shell } from "./format.js";

/** @typedef {import("./contract").ModelInfo} ModelInfo */
/** @typedef {import("./contract").Estimate} Estimate */
/** @typedef {import("./contract").OutputEstimate} OutputEstimate */

export const source = signal("");
export const revision = signal("");
/** @type {import("../vendor/preact.js").Signal<{state: "none" | "checking" | "known" | "refused", info?: ModelInfo, error?: any}>} */
export const model = signal({ state: "none" });
/** Types in the order in which they were chosen. @type {import("../vendor/preact.js").Signal<string[]>} */
export const types = signal([]);
/** The type that the pointer is on. */
export const preview = signal("");
export const jobName = signal(""); // what the user typed; empty: the proposal
export const description = signal("");

export const options = {
  pure: signal(false), leaveOutput: signal(false), outputType: signal(""), embeddingType: signal(""), overrides: signal(""), imatrix: signal(""),
  threads: signal(""), memory: signal(""), outputDir: signal(""), priority: signal(""), verify: signal(true), provenance: signal(false), force: signal(false),
  requantize: signal(false),
};

const stored = Number(localStorage.getItem("budget"));
/** Memory of the machine that will run the model, GiB. */
export const budget = signal(stored > 0 ? stored : 16);
effect(() => localStorage.setItem("budget", String(budget.value)));

/** What every type would come to. @type {import("../vendor/preact.js").Signal<{state: "none" | "asking" | "known" | "refused", of: Map<string, OutputEstimate>, estimate?: Estimate, without: Map<string, string>, error?: any}>} */
export const offers = signal({ state: "none", of: new Map(), without: new Map() });
/** What the chosen types come to. @type {import("../vendor/preact.js").Signal<{state: "none" | "asking" | "known" | "refused", estimate?: Estimate, error?: any}>} */
export const plan = signal({ state: "none" });
/** @type {import("../vendor/preact.js").Signal<import("./contract").TypeInfo[]>} */
export const catalogue = signal([]);
/** Types that single tensors may be given. @type {import("../vendor/preact.js").Signal<import("./contract").TensorTypeInfo[]>} */
export const tensorTypes = signal([]);
/** @type {import("../vendor/preact.js").Signal<import("./contract").FormatInfo[]>} */
export const formats = signal([]);
/** @type {import("../vendor/preact.js").Signal<any>} */
export const catalogueError = signal(null);

/** The lines of the overrides that are no REGEX=TYPE. */
export const badOverrides = computed(() => lines(options.overrides.value).filter((l) => !/^.+=\s*\w+$/.test(l)));
const lines = (/** @type {string} */ s) => s.split("\n").map((l) => l.trim()).filter(Boolean);

const config = computed(() => {
  /** @type {import("./contract").Config} */
  const c = {};
  const o = options;
  if (o.pure.value) c.pure = true;
  if (o.leaveOutput.value) c.leave_output_tensor = true;
  if (o.outputType.value) c.output_tensor_type = o.outputType.value;
  if (o.embeddingType.value) c.token_embedding_type = o.embeddingType.value;
  const rules = lines(o.overrides.value).filter((l) => !badOverrides.value.includes(l));
  if (rules.length) c.tensor_types = rules.map((l) => ({ pattern: l.slice(0, l.lastIndexOf("=")).trim(), type: l.slice(l.lastIndexOf("=") + 1).trim() }));
  if (o.imatrix.value.trim()) Object.assign(c, { use_imatrix: true, imatrix_file: o.imatrix.value.trim() });
  if (Number(o.threads.value) > 0) c.threads = Math.floor(Number(o.threads.value));
  if (Number(o.memory.value) > 0) c.max_memory_bytes = Math.round(Number(o.memory.value) * 2 ** 30);
  if (!o.verify.value) c.verify_output = false;
  if (o.provenance.value) c.provenance = true;
  if (o.force.value) c.force = true;
  if (o.requantize.value) c.allow_requantize = true;
  return c;
});

const refused = "quantize would refuse: ";
/** Why the server would not make the job as it is planned; "" if it would. */
export const refusal = computed(() => plan.value.estimate?.warnings.find((w) => w.startsWith(refused))?.slice(refused.length) ?? "");
export const warnings = computed(() => plan.value.estimate?.warnings.filter((w) => !w.startsWith(refused)) ?? []);

/** @param {string[]} list */
const request = (list) => ({
  source_model: source.value.trim(), output_formats: ["gguf"], gguf_quant_types: list, config: config.value,
  ...(revision.value.trim() ? { revision: revision.value.trim() } : {}), ...(options.outputDir.value.trim() ? { output_dir: options.outputDir.value.trim() } : {}),
});

const baseName = computed(() => source.value.trim().replace(/[/\\]+$/, "").split(/[/\\]/).pop()?.replace(/\.gguf$/, "") ?? "");
export const proposedName = computed(() => (baseName.value ? `${baseName.value}${types.value.length ? ` ${types.value.join(", ")}` : ""}` : ""));

/** The same job on the command line. */
export const command = computed(() => {
  const o = options;
  const words = ["nexus-quant", "quantize", shell(source.value.trim() || "MODEL"), "-t", types.value.join(",") || "TYPES"];
  const flag = (/** @type {any} */ on, /** @type {string[]} */ ...w) => { if (on) words.push(...w); };
  flag(revision.value.trim(), "--revision", shell(revision.value.trim()));
  flag(o.outputDir.value.trim(), "-o", shell(o.outputDir.value.trim()));
  flag(o.pure.value, "--pure");
  flag(o.leaveOutput.value, "--leave-output-tensor");
  flag(o.outputType.value, "--output-tensor-type", o.outputType.value);
  flag(o.embeddingType.value, "--token-embedding-type", o.embeddingType.value);
  for (const r of config.value.tensor_types ?? []) words.push("--tensor-type", shell(`${r.pattern}=${r.type}`));
  flag(o.imatrix.value.trim(), "--imatrix", shell(o.imatrix.value.trim()));
  flag(config.value.threads, "--threads", String(config.value.threads));
  flag(config.value.max_memory_bytes, "--max-memory", `${o.memory.value}GiB`);
  flag(!o.verify.value, "--no-verify");
  flag(o.provenance.value, "--provenance");
  flag(o.requantize.value, "--allow-requantize");
  flag(o.force.value, "--force");
  return words.join(" ");
});

/** @param {string} type */
export function toggle(type) {
  types.value = types.value.includes(type) ? types.value.filter((t) => t !== type) : [...types.value, type];
}

/** Loads what does not depend on a model. */
export async function prepare() {
  try {
    const [f, t] = await Promise.all([get("/quantize/formats"), get("/quantize/formats/gguf/types")]);
    batch(() => { formats.value = f; catalogue.value = t.types; tensorTypes.value = t.tensor_types.filter((/** @type {import("./contract").TensorTypeInfo} */ x) => x.writable).sort((/** @type {any} */ a, /** @type {any} */ b) => b.bits_per_weight - a.bits_per_weight); catalogueError.value = null; });
  } catch (e) { catalogueError.value = e; }
}

// Each question cancels the one before it, so that a slow answer never replaces a later one.
/** @param {(signal: AbortSignal) => Promise<void>} fn @param {number} wait */
function latest(fn, wait) {
  let timer = 0;
  /** @type {AbortController | null} */
  let running = null;
  return (now = false) => {
    clearTimeout(timer);
    running?.abort();
    const start = async () => {
      const mine = (running = new AbortController());
      try { await fn(mine.signal); } catch (e) { if (!mine.signal.aborted) throw e; }
    };
    if (now) start(); else timer = setTimeout(start, wait);
  };
}

const look = latest(async (signal) => {
  const name = source.value.trim();
  if (name.length < 2) return;
  try {
    /** @type {ModelInfo} */
    const info = await get(`/quantize/models/inspect?${query({ source: name, revision: revision.value.trim() })}`, signal);
    if (signal.aborted) return;
    batch(() => {
      model.value = { state: info.supported ? "known" : "refused", info };
      if (info.supported && !types.value.length && info.recommended_types.length) types.value = [info.recommended_types[0]];
    });
  } catch (e) { if (!signal.aborted) model.value = { state: "refused", error: e }; }
}, 350);

const offer = latest(async (signal) => {
  const without = new Map();
  if (!options.imatrix.value.trim()) for (const t of catalogue.value) if (/needs an importance matrix/.test(t.description)) without.set(t.value, "needs an importance matrix");
  const all = catalogue.value.map((t) => t.value).filter((t) => !without.has(t));
  // a type that this model can't have is named in the refusal: the others are still worth knowing
  for (let left = all; left.length;) {
    try {
      /** @type {Estimate} */
      const estimate = await post("/quantize/estimate?tensors=true", request(left), signal);
      if (!signal.aborted) offers.value = { state: "known", of: new Map(estimate.outputs.map((o) => [o.type, o])), estimate, without };
      return;
    } catch (e) {
      if (signal.aborted) return;
      const error = /** @type {any} */ (e);
      const named = /^type (\w+): (.*)/s.exec(error.message);
      if (!named || !left.includes(named[1])) { offers.value = { ...offers.value, state: "refused", error }; return; }
      without.set(named[1], /needs an importance matrix/.test(named[2]) ? "needs an importance matrix" : named[2]);
      left = left.filter((t) => t !== named[1]);
    }
  }
}, 250);

const reckon = latest(async (signal) => {
  try {
    const estimate = await post("/quantize/estimate", request(types.value), signal);
    if (!signal.aborted) plan.value = { state: "known", estimate };
  } catch (e) { if (!signal.aborted) plan.value = { ...plan.value, state: "refused", error: e }; }
}, 200);

/** Looks at the model at once, for who pressed Enter. */
export const lookNow = () => look(true);

effect(() => { // a model was typed
  const name = source.value.trim();
  void revision.value;
  batch(() => {
    model.value = { state: name.length < 2 ? "none" : "checking" };
    offers.value = { state: "none", of: new Map(), without: new Map() };
    plan.value = { state: "none" };
  });
  look();
});

effect(() => { // the model is known, or the options changed
  void config.value;
  if (model.value.state !== "known" || !catalogue.value.length) return;
  offers.value = { ...offers.peek(), state: "asking" };
  offer();
});

effect(() => { // types were chosen
  void config.value;
  void options.outputDir.value;
  if (model.value.state !== "known" || !types.value.length) { plan.value = { state: "none" }; return; }
  plan.value = { ...plan.peek(), state: "asking" };
  reckon();
});

/** Makes the job. @returns {Promise<import("./contract").Job>} */
export async function create() {
  const job = await post("/quantize/jobs", {
    ...request(types.value), name: jobName.value.trim() || proposedName.value, ...(description.value.trim() ? { description: description.value.trim() } : {}),
    ...(Number(options.priority.value) ? { priority: Math.trunc(Number(options.priority.value)) } : {}),
  });
  batch(() => { types.value = []; jobName.value = ""; description.value = ""; source.value = ""; revision.value = ""; });
  return job;
}
