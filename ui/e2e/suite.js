// What every file of tests begins with: a server, models, a browser; and what every test ends with.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { browse, folder, makeSlowModel, openPage, screenshots, Server, smallModel } from "./harness.js";

process.env.NEXUS_QUANT_KERNELS = "generic"; // slower, so that there is something to watch; the bytes are the same
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const keep = process.env.SCREENSHOTS === "1"; // writes docs/screenshots anew

// A loaded machine may take long for what is quick on an idle one: these bound a test that hangs, no more.
const patience = Number(process.env.PATIENCE ?? 60_000), whole = 240_000;

/** @typedef {{server: Server, context: import("playwright-core").BrowserContext, tiny: string, slow: string}} Suite */

/** Sets up a file of tests. What it returns is filled in before the first test. @param {{args?: (home: string) => string[]}} [o] args: of the server */
export function suite({ args = () => [] } = {}) {
  const s = /** @type {Suite} */ ({});
  let dir;
  before(async () => {
    dir = folder(process.env.E2E_DIR);
    s.server = new Server(dir.path);
    s.tiny = smallModel(join(s.server.models, "nexus-tiny-llama"));
    s.slow = makeSlowModel(join(s.server.models, "nexus-small-60-layers"), 60);
    await s.server.start(args(dir.path));
    s.context = await browse(join(dir.path, "chrome"));
    if (keep) mkdirSync(screenshots, { recursive: true });
  }, { timeout: whole });
  after(async () => {
    await s.context?.close();
    await s.server?.stop();
    dir?.remove();
  }, { timeout: whole });
  return s;
}

/**
 * Runs a test on a page of its own, and fails it for everything that went wrong there but what it expects.
 * @param {Suite} s @param {string} name @param {{width: number, height?: number, dark?: boolean, offline?: boolean, expects?: RegExp}} options
 * @param {(page: import("playwright-core").Page) => Promise<void>} fn
 */
export function browserTest(s, name, options, fn) {
  test(name, { timeout: whole }, async () => {
    const { page, faults } = await openPage(s.context, options);
    page.setDefaultTimeout(patience);
    page.setDefaultNavigationTimeout(patience);
    try {
      await fn(page);
      assert.deepEqual(faults.filter((f) => !options.expects?.test(f)), []);
    } finally { await atMost(10_000, page.close()); } // a page that Chromium does not close goes with the browser
  });
}

/** Waits for a promise, but not for ever. @param {number} ms @param {Promise<unknown>} promise */
async function atMost(ms, promise) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  await Promise.race([promise, new Promise((r) => { timer = setTimeout(r, ms); })]).finally(() => clearTimeout(timer));
}

/** No serious finding of axe, on what is shown now. axe is run past the policy, as a tool of the browser. */
export async function accessible(page, what) {
  await page.evaluate(() => Promise.all(document.getAnimations().map((a) => (a.effect?.getTiming().iterations === Infinity ? null : a.finished.catch(() => {})))));
  const session = await page.context().newCDPSession(page);
  await session.send("Runtime.evaluate", { expression: axe });
  const { result } = await session.send("Runtime.evaluate", {
    expression: `axe.run(document, { resultTypes: ["violations"] }).then((r) => JSON.stringify(r.violations.filter((v) => ["serious", "critical"].includes(v.impact)).map((v) => v.id + ": " + v.nodes.map((n) => n.html.slice(0, 160) + " " + n.failureSummary).join(" | "))))`,
    awaitPromise: true, returnByValue: true,
  });
  await session.detach();
  assert.deepEqual(JSON.parse(result.value), [], `axe on ${what}`);
}

/** Writes a picture for the documentation, when that was asked for. */
export async function shoot(page, name, clip) {
  if (keep) await page.screenshot({ path: join(screenshots, `${name}.png`), ...clip });
}

/** The layout has come to rest: nothing is loading, and two frames in a row are alike. */
export async function settled(page) {
  await page.waitForFunction(() => document.querySelector("main h1") && !document.querySelector(".loading"));
  await page.evaluate(async () => {
    const frame = () => new Promise((r) => requestAnimationFrame(r));
    const shape = () => `${document.documentElement.scrollHeight} ${document.querySelectorAll("main *").length} ${[...document.querySelectorAll("canvas")].map((c) => c.width)}`;
    for (let last = "", now = shape(); last !== now; now = shape()) { last = now; await frame(); await frame(); }
  });
}

/** Nothing sticks out of the page. */
export async function fits(page, what) {
  const wide = await page.evaluate(() => ({
    page: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    parts: [...document.querySelectorAll("main *, header *")].filter((e) => !e.closest(".scroll, .log, svg, .unseen, .tip, .command") && e.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map((e) => e.outerHTML.slice(0, 120)),
  }));
  assert.deepEqual(wide, { page: 0, parts: [] }, what);
}
