// A server that asks for its token.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { Server } from "../harness.js";
import { accessible, browserTest, fits, shoot, suite } from "../suite.js";

const s = suite({ args: (home) => ["--token-file", join(home, "token")] });
const token = () => readFileSync(join(s.server.home, "token"), "utf8").trim();

/** The server's own client shows the token too. */
const call = (method, path, body) => s.server.call(method, path, body, { Authorization: `Bearer ${token()}` });

async function signIn(page, text) {
  await page.fill("input[name=token]", text);
  await page.keyboard.press("Enter");
}

browserTest(s, "the token signs in, a wrong one does not, and the address is kept", { width: 1024, height: 700, expects: /status of 401/ }, async (page) => {
  const first = await page.goto(s.server.url + "/settings");
  assert.equal(first.status(), 401);
  await page.waitForSelector("h1 >> text=Sign in");
  await page.waitForFunction(() => document.activeElement?.getAttribute("name") === "token");
  await accessible(page, "signing in");
  await shoot(page, "sign-in");
  await signIn(page, "not-the-token-at-all");
  await page.waitForSelector("[role=alert] >> text=not this server's token");
  await accessible(page, "a wrong token");
  assert.deepEqual(await s.context.cookies(), []);
  await signIn(page, token());
  await page.waitForURL(s.server.url + "/settings");
  await page.waitForSelector("text=this browser has shown it");
  const [cookie] = await s.context.cookies();
  assert.ok(cookie.httpOnly && cookie.sameSite === "Strict" && cookie.expires === -1, JSON.stringify(cookie));
  assert.equal(await page.evaluate(() => document.cookie), "");
  assert.ok(!(await page.content()).includes(token()));
  await page.click("button >> text=Sign out");
  await page.waitForSelector("h1 >> text=Sign in");
  assert.deepEqual(await s.context.cookies(), []);
  assert.equal((await page.request.get(s.server.url + "/api/v1/quantize/jobs")).status(), 401);
});

browserTest(s, "events and downloads work for who is signed in", { width: 1024, expects: /status of 401/ }, async (page) => {
  await page.goto(s.server.url + "/jobs");
  await signIn(page, token());
  await page.waitForSelector("text=No jobs yet");
  const job = await call("POST", "/quantize/jobs", { name: "For who is in", source_model: s.tiny, output_formats: ["gguf"], gguf_quant_types: ["Q4_K_M"] });
  await page.click("text=For who is in"); // it came by itself
  await page.waitForSelector(".title .state.completed");
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("text=Download >> nth=0")]);
  assert.equal(statSync(await download.path()).size, (await call("GET", `/quantize/jobs/${job.id}`)).outputs[0].file_size);
});

browserTest(s, "two servers on one host sign in side by side", { width: 1024, expects: /status of 401/ }, async (page) => {
  const home = join(s.server.home, "second"), other = new Server(home);
  await other.start(["--token-file", join(home, "token")]);
  try {
    await page.goto(s.server.url + "/settings");
    if (await page.locator("input[name=token]").count()) await signIn(page, token());
    await page.waitForSelector("text=this browser has shown it");
    await page.goto(other.url + "/settings");
    await signIn(page, readFileSync(join(home, "token"), "utf8").trim());
    await page.waitForSelector("text=this browser has shown it");
    await page.click("button >> text=Sign out"); // of one is not that of the other
    await page.waitForSelector("h1 >> text=Sign in");
    await page.goto(s.server.url + "/settings");
    await page.waitForSelector("text=this browser has shown it");
  } finally { await other.stop(); }
});

browserTest(s, "who is signed out elsewhere is told, and comes back to the same page", { width: 1024, expects: /status of 401|net::ERR_/ }, async (page) => {
  await page.goto(`${s.server.url}/registry?token=${token()}`); // a link with the token signs in too
  await page.waitForSelector("h1 >> text=Registry");
  assert.equal(page.url(), s.server.url + "/registry");
  await s.context.clearCookies();
  await page.click("nav >> text=Settings");
  await page.waitForSelector("text=You are signed out.");
  await accessible(page, "signed out");
  await page.click(".band >> text=Sign in");
  await signIn(page, token());
  await page.waitForURL(s.server.url + "/settings");
  await page.waitForSelector(".tiles");
});

browserTest(s, "pages of other sites neither sign in nor out", { width: 1024, expects: /status of 40[13]|request to http:..localhost|ERR_/ }, async (page) => {
  const form = (path) => `<form method="post" action="${s.server.url}${path}"><input name="token" value="${token()}"><button>Go</button></form>`;
  const other = createServer((r, w) => w.setHeader("Content-Type", "text/html").end(form(r.url))).listen(0, "127.0.0.1");
  await once(other, "listening");
  const before = await s.context.cookies();
  try {
    for (const host of ["localhost", "127.0.0.1"]) { // another site, and another port of the same one
      for (const path of ["/login", "/logout"]) {
        await page.goto(`http://${host}:${other.address().port}${path}`);
        const [answer] = await Promise.all([page.waitForResponse(s.server.url + path), page.click("button")]);
        await page.waitForURL(s.server.url + path); // Chromium may never close a page that is on its way to another site
        assert.equal(answer.status(), 403, `${path} from ${host}`);
        assert.deepEqual(await s.context.cookies(), before);
      }
    }
  } finally { other.close(); }
});

for (const [width, dark] of [[390, true], [1920, false]]) {
  browserTest(s, `signing in fits ${width} px`, { width, height: 844, dark, expects: /status of 401/ }, async (page) => {
    await s.context.clearCookies();
    await page.goto(s.server.url + "/jobs");
    await signIn(page, "wrong");
    await page.waitForSelector("[role=alert]");
    await fits(page, "signing in");
    await accessible(page, `signing in at ${width}`);
    if (dark) await shoot(page, "sign-in-phone");
  });
}
