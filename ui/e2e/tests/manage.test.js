// The queue, and the files of a finished model.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync, openSync, readSync, statSync, truncateSync, writeSync } from "node:fs";
import { binary } from "../harness.js";
import { accessible, browserTest, fits, settled, shoot, suite } from "../suite.js";

const s = suite();

/** Runs the program beside the server. */
function cli(...args) {
  const r = spawnSync(binary(), args, { env: s.server.env, encoding: "utf8" });
  assert.equal(r.status, 0, r.stderr);
  return r.stdout;
}

browserTest(s, "queued jobs change places by keyboard and mouse, and the command line sees it", { width: 1024 }, async (page) => {
  const first = await s.server.job({ source_model: s.slow, name: "Runs", gguf_quant_types: ["Q4_K_M", "Q5_K_M", "Q3_K_M", "Q2_K"], config: { threads: 1 } });
  const ids = { [first.id]: "Runs" };
  for (const name of ["Alpha", "Beta", "Gamma"]) ids[(await s.server.job({ name, gguf_quant_types: ["Q8_0"], config: { force: true } })).id] = name;
  const order = () => page.locator(".queue h3").allTextContents();
  const becomes = (...want) => page.waitForFunction((w) => [...document.querySelectorAll(".queue h3")].map((e) => e.textContent).join() === w, want.join());
  await page.goto(s.server.url + "/jobs");
  await becomes("Alpha", "Beta", "Gamma");
  await page.waitForSelector("text=Next in the queue");
  await accessible(page, "a queue");
  await shoot(page, "queue");
  await page.getByRole("button", { name: "First in the queue: Gamma" }).focus();
  await page.keyboard.press("Enter");
  await becomes("Gamma", "Alpha", "Beta");
  await page.waitForFunction(() => /First.*Gamma/.test(document.activeElement?.textContent ?? "")); // the focus went with it
  await page.waitForFunction(() => [...document.querySelectorAll("[role=status]")].some((e) => e.textContent === "Gamma: number 1 in the queue"));
  await page.getByRole("button", { name: "Later in the queue: Gamma" }).click();
  await becomes("Alpha", "Gamma", "Beta");
  await page.getByRole("button", { name: "Earlier in the queue: Beta" }).click();
  await becomes("Alpha", "Beta", "Gamma");
  await page.getByRole("button", { name: "First in the queue: Beta" }).click();
  await becomes("Beta", "Alpha", "Gamma");
  assert.deepEqual(JSON.parse(cli("jobs", "queue", "--json")).map((j) => j.name), ["Beta", "Alpha", "Gamma"]);
  const alpha = Object.keys(ids).find((id) => ids[id] === "Alpha");
  cli("jobs", "move", alpha, "last"); // and the page sees what the command line does
  await becomes("Beta", "Gamma", "Alpha");
  assert.deepEqual(await order(), ["Beta", "Gamma", "Alpha"]);
  await s.server.call("POST", `/quantize/jobs/${first.id}/cancel`);
  const ended = await Promise.all(Object.keys(ids).map((id) => s.server.ended(id)));
  const started = ended.filter((j) => j.id !== first.id).sort((a, b) => a.started_at.localeCompare(b.started_at));
  assert.deepEqual(started.map((j) => j.name), ["Beta", "Gamma", "Alpha"]);
});

browserTest(s, "a model is verified: well, cancelled, and damaged", { width: 1024, offline: true }, async (page) => {
  const job = await s.server.ended((await s.server.job({ name: "To verify", gguf_quant_types: ["Q6_K", "Q4_0"] })).id);
  await page.goto(s.server.url + "/registry/nexus-tiny-llama");
  await page.click(".verify button >> text=/Verify \\d/");
  await page.waitForSelector(".verify .good");
  await page.waitForSelector("text=as registered");
  await accessible(page, "a verified model");
  const path = job.outputs[0].file_path, size = statSync(path).size;
  truncateSync(path, 200e9); // mostly a hole, which takes long to read
  await page.click(".verify button >> text=/Verify .* again/");
  await page.waitForSelector(".verify [role=progressbar]");
  await page.waitForSelector(".verified .running");
  await accessible(page, "a verification");
  await page.reload(); // it goes on without the page
  await page.waitForSelector(".verified .running");
  await page.click(".verify button >> text=Cancel");
  await page.waitForSelector("text=/^Cancelled .*, after/");
  truncateSync(path, size);
  const f = openSync(path, "r+"), b = Buffer.alloc(1);
  readSync(f, b, 0, 1, size - 5000);
  b[0] ^= 1;
  writeSync(f, b, 0, 1, size - 5000);
  closeSync(f);
  await page.click(".verify button >> text=/Verify .* again/");
  await page.waitForSelector("text=/1 of \\d.files is not what was registered/");
  await page.waitForSelector(".verified .failed >> text=/SHA-256 is [0-9a-f]{64}, registered was/");
  const told = await page.locator(".verified").innerText();
  await s.server.stop(); // what was found outlives the server
  await s.server.start();
  await page.reload();
  await page.waitForSelector(".verified .failed >> text=/SHA-256 is [0-9a-f]{64}, registered was/");
  await page.waitForSelector("text=/1 of \\d.files is not what was registered/");
  assert.equal(await page.locator(".verified").innerText(), told);
  assert.match(cli("models", "show", "nexus-tiny-llama"), /verified \S+ \S+, failed: SHA-256 is/);
  await accessible(page, "a damaged file");
});

for (const [width, dark] of [[390, false], [1920, true]]) {
  browserTest(s, `a queue and a verified model fit ${width} px`, { width, height: 900, dark }, async (page) => {
    const runs = await s.server.job({ source_model: s.slow, name: "Runs", gguf_quant_types: ["Q4_K_M", "Q5_K_M", "Q3_K_M", "Q2_K"], config: { threads: 1 } });
    const waits = [];
    for (const name of ["A job with a name that is long enough to need a second line on a phone", "Beta"]) waits.push(await s.server.job({ name, gguf_quant_types: ["Q8_0"], config: { force: true } }));
    await page.goto(s.server.url + "/jobs");
    await page.waitForFunction(() => document.querySelectorAll(".queue li").length === 2);
    await settled(page);
    await fits(page, "the queue");
    await accessible(page, "a queue");
    for (const j of [...waits, runs]) await s.server.call("POST", `/quantize/jobs/${j.id}/cancel`);
    await s.server.ended(runs.id);
    await page.goto(s.server.url + "/registry/nexus-tiny-llama");
    await page.waitForSelector(".verified");
    await settled(page);
    await fits(page, "a verified model");
  });
}
