// Makes ui/web/static/vendor from the packages of npm, whose versions and hashes package-lock.json fixes. The same
// versions give the same bytes.
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const target = here("../web/static/vendor/");

const entry = `
export { h, render, Fragment } from "preact";
export { useEffect, useLayoutEffect, useMemo, useRef, useState, useId } from "preact/hooks";
export { batch, computed, effect, signal, useComputed, useSignal, useSignalEffect } from "@preact/signals";
import htm from "htm";
import { h } from "preact";
export const html = htm.bind(h);
`;

const result = await build({
  stdin: { contents: entry, resolveDir: here("."), sourcefile: "entry.js" },
  bundle: true, minify: true, format: "esm", target: "es2022", charset: "utf8", legalComments: "none", write: false,
  banner: { js: "/* preact, htm and signals, see README.md and LICENSES.txt in this folder */" },
});
const code = result.outputFiles[0].contents;
writeFileSync(target + "preact.js", code);

const packages = ["preact", "htm", "@preact/signals", "@preact/signals-core"].map((name) => {
  const { version, license } = JSON.parse(readFileSync(here(`node_modules/${name}/package.json`), "utf8"));
  const text = readFileSync(here(`node_modules/${name}/LICENSE`), "utf8").trim();
  return { name, version, license, text };
});
writeFileSync(target + "LICENSES.txt", packages.map((p) => `${p.name} ${p.version}\n\n${p.text}\n`).join("\n" + "-".repeat(80) + "\n\n"));

const esbuild = JSON.parse(readFileSync(here("node_modules/esbuild/package.json"), "utf8")).version;
writeFileSync(target + "README.md", `# What the page is built on

\`preact.js\` holds these packages of npm, bundled by esbuild ${esbuild}. \`make vendor-ui\` makes it anew, with the same bytes
for the same versions. \`preact.d.ts\` is ours: it tells the type checker what is in it.

| package | version | licence |
|---|---|---|
${packages.map((p) => `| ${p.name} | ${p.version} | ${p.license} |`).join("\n")}

| file | bytes | SHA-256 |
|---|---|---|
| preact.js | ${code.length} | ${createHash("sha256").update(code).digest("hex")} |
`);
