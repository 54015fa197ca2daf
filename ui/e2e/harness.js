// What the tests share: a real server with folders of its own, a model that takes a while, and a browser that notes
// everything that goes wrong on a page.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, cpSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const root = fileURLToPath(new URL("../..", import.meta.url));
const shipped = join(root, "testdata", "nexus-tiny-llama");
export const screenshots = join(root, "docs", "screenshots");

/** Builds the program once for all tests of a process. */
export function binary() {
  const given = process.env.NEXUS_QUANT_BINARY;
  if (given) return given;
  const path = join(root, "bin", "nexus-quant");
  const r = spawnSync("go", ["build", "-trimpath", "-o", path, "."], { cwd: root, env: { ...process.env, CGO_ENABLED: "0" }, stdio: "inherit" });
  if (r.status !== 0) throw new Error("go build failed");
  return path;
}

/** A folder for one run: a new one, or the empty one that E2E_DIR names, for screenshots with a path that is pleasant to read. */
export function folder(fixed = "") {
  if (fixed) mkdirSync(fixed, { recursive: true }); // each file of tests removes it
  if (fixed && readdirSync(fixed).length) throw new Error(`E2E_DIR: ${fixed} is not empty, and would be removed`);
  const path = fixed || mkdtempSync(join(tmpdir(), "nexus-quant-e2e-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 5 }) };
}

async function freePort() {
  const s = createServer().listen(0, "127.0.0.1");
  await once(s, "listening");
  const { port } = s.address();
  s.close();
  await once(s, "close");
  return port;
}

/** A running server. Stopped and started again, it keeps its address and its jobs. */
export class Server {
  constructor(home, models = join(home, "models")) {
    Object.assign(this, { home, models, out: join(home, "out"), port: 0, process: null });
    mkdirSync(this.out, { recursive: true });
    mkdirSync(this.models, { recursive: true });
  }

  /** What the program is told, here and on the command line. */
  get env() {
    return {
      PATH: process.env.PATH, HOME: this.home, NEXUS_QUANT_HOME: join(this.home, "state"), QUANTIZATION_OUTPUT_DIR: this.out, MODELS_DIR: this.models,
      HF_HOME: join(this.home, "hf"), HF_HUB_OFFLINE: "1", NEXUS_QUANT_KERNELS: process.env.NEXUS_QUANT_KERNELS ?? "",
    };
  }

  get url() { return `http://127.0.0.1:${this.port}`; }

  /** @param {string[]} more arguments */
  async start(more = []) {
    this.port ||= await freePort();
    this.process = spawn(binary(), ["serve", "--addr", `127.0.0.1:${this.port}`, ...more], {
      stdio: ["ignore", "pipe", "inherit"], env: this.env,
    });
    for await (const line of createInterface({ input: this.process.stdout })) if (line.startsWith("http")) return this;
    throw new Error("the server did not start");
  }

  /** @param {NodeJS.Signals} signal */
  async stop(signal = "SIGTERM") {
    if (!this.process || this.process.exitCode !== null) return;
    const ended = once(this.process, "exit");
    this.process.kill(signal);
    await ended;
  }

  async call(method, path, body, headers = {}) {
    const r = await fetch(this.url + "/api/v1" + path, { method, headers: { "Content-Type": "application/json", ...headers }, body: body && JSON.stringify(body) });
    const text = await r.text();
    if (!r.ok) throw new Error(`${method} ${path}: ${r.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  job(spec) { return this.call("POST", "/quantize/jobs", { name: "test", output_formats: ["gguf"], source_model: join(this.models, "nexus-tiny-llama"), ...spec }); }

  async ended(id) {
    for (;;) {
      const job = await this.call("GET", `/quantize/jobs/${id}`);
      if (["completed", "failed", "cancelled"].includes(job.status)) return job;
      await new Promise((r) => setTimeout(r, 100));
    }
  }
}

/** Puts the project's small model where the server may read it. */
export function smallModel(dir) {
  cpSync(shipped, dir, { recursive: true, filter: (f) => !f.endsWith(".txt") && !f.endsWith(".md") });
  return dir;
}

/**
 * Makes a model like the small one with many more layers, all holding the small one's weights, so that a job on one
 * thread lasts some seconds.
 */
export function makeSlowModel(dir, layers = 120) {
  mkdirSync(dir, { recursive: true });
  for (const f of ["generation_config.json", "special_tokens_map.json", "tokenizer.model", "tokenizer_config.json"]) cpSync(join(shipped, f), join(dir, f));
  const config = JSON.parse(readFileSync(join(shipped, "config.json"), "utf8"));
  writeFileSync(join(dir, "config.json"), JSON.stringify({ ...config, num_hidden_layers: layers }));
  const source = {};
  for (const shard of ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]) {
    const b = readFileSync(join(shipped, shard));
    const length = Number(b.readBigUInt64LE(0));
    const header = JSON.parse(b.subarray(8, 8 + length).toString());
    for (const [name, t] of Object.entries(header)) if (name !== "__metadata__") source[name] = { ...t, data: b.subarray(8 + length + t.data_offsets[0], 8 + length + t.data_offsets[1]) };
  }
  const list = [];
  for (const [name, t] of Object.entries(source)) {
    const m = /^model\.layers\.(\d+)\.(.*)$/.exec(name);
    if (!m) list.push([name, t]);
    else for (let i = Number(m[1]); i < layers; i += config.num_hidden_layers) list.push([`model.layers.${i}.${m[2]}`, t]);
  }
  let at = 0;
  const header = Buffer.from(JSON.stringify(Object.fromEntries(list.map(([name, { dtype, shape, data }]) => [name, { dtype, shape, data_offsets: [at, (at += data.length)] }]))));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.length));
  const f = openSync(join(dir, "model.safetensors"), "w");
  for (const b of [size, header, ...list.map(([, t]) => t.data)]) writeSync(f, b);
  closeSync(f);
  return dir;
}

/** Debian's Chromium, or the one that CHROMIUM names, without anything that would use the network. */
export const browse = (userData) => chromium.launchPersistentContext(userData, {
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, viewport: { width: 1024, height: 768 }, acceptDownloads: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

/**
 * A page that collects what should not be: exceptions, errors on the console, violations of the policy, requests to
 * other hosts. Connections that are refused while a server is away are expected by those who stop it.
 */
export async function openPage(context, o = {}) {
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (e) => faults.push(`exception: ${e.stack ?? e}`));
  page.on("console", (m) => { if (["error", "warning"].includes(m.type()) && !(o.offline && /net::ERR_/.test(m.text()))) faults.push(`console: ${m.text()} ${m.location().url}`); });
  page.on("request", (r) => { if (!["127.0.0.1", ""].includes(new URL(r.url()).hostname)) faults.push(`request to ${r.url()}`); });
  if (o.width) await page.setViewportSize({ width: o.width, height: o.height ?? 900 });
  if (o.dark) await page.emulateMedia({ colorScheme: "dark" });
  return { page, faults };
}
