// Looking into GGUF files.
import assert from "node:assert/strict";
import { copyFileSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { accessible, browserTest, fits, settled, shoot, suite } from "../suite.js";

const s = suite();
const address = (path) => `${s.server.url}/inspect?path=${encodeURIComponent(path)}`;
let made;

/** A file of the small model, made once. */
async function file() {
  made ??= (async () => {
    const job = await s.server.ended((await s.server.job({ name: "To look into", gguf_quant_types: ["Q4_K_M"] })).id);
    return job.outputs[0].file_path;
  })();
  return made;
}

browserTest(s, "without a file, the page says where it looked", { width: 1024 }, async (page) => {
  await page.goto(s.server.url + "/inspect");
  await page.waitForSelector("text=No GGUF files yet");
  await page.waitForSelector(`code:has-text("${s.server.models}")`);
  await accessible(page, "no files");
});

browserTest(s, "a file is found in the list, and its tensors and metadata are searched and sorted", { width: 1024, height: 900 }, async (page) => {
  const path = await file();
  await page.goto(s.server.url + "/inspect");
  await page.fill("#file-search", "tiny q4_k");
  await page.click(`a >> text=${basename(path)}`);
  await page.waitForFunction((p) => new URLSearchParams(location.search).get("path") === p, path);
  await page.waitForSelector(".tensors");
  // what is shown is what the file says
  const info = await s.server.call("GET", `/files/inspect?path=${encodeURIComponent(path)}`);
  assert.equal(await page.locator(".tensors tbody tr").count(), info.tensors.length);
  const bytes = readFileSync(path);
  const t = info.tensors.find((x) => x.name === "blk.0.attn_norm.weight");
  assert.ok(Number.isFinite(bytes.readFloatLE(t.offset)) && bytes.readFloatLE(t.offset) > 0, "the offset is that of the weights");
  assert.deepEqual(await page.locator(".typebar b").allTextContents(), info.types.map((x) => x.type));
  // search, filter, sort
  await page.fill("#tensor-search", "ffn_down");
  await page.waitForFunction(() => document.querySelectorAll(".tensors tbody tr").length === 6);
  await page.click(".typebar >> text=q6_K");
  await page.waitForFunction(() => document.querySelectorAll(".tensors tbody tr").length === 2);
  await page.click("button[aria-label^='Show all types']");
  await page.fill("#tensor-search", "");
  await page.click(".sort >> text=Size");
  await page.click(".sort >> text=Size");
  await page.waitForSelector("th[aria-sort=descending] >> text=Size");
  assert.equal(await page.textContent(".tensors tbody th"), info.tensors.reduce((a, b) => (b.bytes > a.bytes ? b : a)).name);
  await page.fill("#meta-search", "tokens");
  await page.waitForFunction(() => document.querySelectorAll(".meta > div").length === 1);
  assert.match(await page.textContent(".meta dd"), /…\] 4\u2009096\u202fvalues of string/);
  await accessible(page, "a file");
  await page.fill("#meta-search", "");
  await page.locator("#meta-search").blur();
  await page.evaluate(() => scrollTo(0, 0));
  await shoot(page, "inspect");
});

browserTest(s, "a cell of the wall shows its tensor, by mouse and by key", { width: 1024 }, async (page) => {
  await page.goto(address(await file()));
  await page.waitForSelector(".wall canvas");
  const canvas = page.locator(".wall canvas");
  const box = await canvas.boundingBox();
  await canvas.click({ position: { x: box.width / 2, y: 28 } });
  await page.waitForSelector(".chosen-tensor >> text=token_embd.weight");
  await page.waitForSelector(".tensors tr.on >> text=token_embd.weight");
  await canvas.focus();
  for (const key of ["Home", "ArrowDown", "ArrowRight", "Enter"]) await page.keyboard.press(key);
  await page.waitForFunction(() => /blk\.0\./.test(document.querySelector(".chosen-tensor")?.textContent ?? ""));
  assert.match(await page.textContent(".chosen-tensor"), /Offset in the file/);
});

browserTest(s, "a file that can't be inspected says why", { width: 1024, expects: /status of 40\d/ }, async (page) => {
  const cut = join(s.server.models, "cut.gguf"), text = join(s.server.models, "text.gguf");
  copyFileSync(await file(), cut);
  truncateSync(cut, 300_000);
  writeFileSync(text, "this is no model");
  for (const [path, title, words] of [
    [text, "This file can't be read", /not a GGUF file.*letters GGUF/s], [cut, "This file can't be read", /cut off.*fetch or copy it again/s],
    ["/etc/hostname", "This file may not be read", /outside the allowed folders.*allow-path/s], [join(s.server.models, "no.gguf"), "There is no such file", /no such file/],
  ]) {
    await page.goto(address(path));
    await page.waitForSelector(`.notice.bad >> text=${title}`);
    assert.match(await page.textContent(".notice.bad"), words);
  }
  await accessible(page, "a refusal");
  await page.fill("#inspect-path", await file());
  await page.keyboard.press("Enter");
  await page.waitForSelector(".tensors");
});

for (const [width, dark] of [[390, false], [1024, true], [1920, false]]) {
  browserTest(s, `nothing overflows at ${width} px`, { width, height: 900, dark }, async (page) => {
    for (const url of [`${s.server.url}/inspect`, address(await file())]) {
      await page.goto(url);
      await page.waitForSelector(".table");
      await settled(page);
      await fits(page, url);
      await accessible(page, `${url} at ${width}`);
    }
  });
}

browserTest(s, "the page knows every type of tensor, and its bits", { width: 1024 }, async (page) => {
  await page.goto(s.server.url + "/inspect");
  const known = await page.evaluate(async () => (await import("/static/js/types.js")).tensorBits);
  const { tensor_types: types } = await s.server.call("GET", "/quantize/formats/gguf/types");
  assert.deepEqual(known, Object.fromEntries(types.map((t) => [t.value, t.bits_per_weight])));
});
