// The page: its frame, and which view stands in it.
import { html, render, useEffect } from "../vendor/preact.js";
import { signedOut } from "./api.js";
import { when } from "./format.js";
import { JobPage } from "./job.js";
import { Jobs } from "./jobs.js";
import { Inspect } from "./inspect.js";
import { anyActive, loaded, loadError, lostSince, newestFirst, outdated, start, active } from "./live.js";
import { NewJob } from "./new.js";
import { Asking, Loading, Speaker } from "./parts.js";
import { ModelPage, Registry } from "./registry.js";
import { go, Link, path } from "./router.js";
import { Settings } from "./settings.js";

const links = [["/jobs", "Jobs"], ["/quantization", "New job"], ["/registry", "Registry"], ["/inspect", "Inspect"], ["/settings", "Settings"]];

/** @returns {[any, string]} the view and its title */
function view() {
  const p = path.value;
  const part = (/** @type {string} */ of) => p.slice(of.length).split("/").filter(Boolean).map(decoded).join("/");
  if (p === "/") return [html`<${Landing} />`, "nexus-quant"];
  if (p === "/jobs") return [html`<${Jobs} />`, "Jobs"];
  if (p.startsWith("/jobs/")) return [html`<${JobPage} id=${part("/jobs/")} />`, "Job"];
  if (p === "/quantization") return [html`<${NewJob} />`, "New job"];
  if (p.startsWith("/registry/") && part("/registry/")) return [html`<${ModelPage} key=${p} id=${part("/registry/")} />`, part("/registry/")];
  if (p.startsWith("/registry")) return [html`<${Registry} />`, "Registry"];
  if (p === "/inspect") return [html`<${Inspect} />`, "Inspect"];
  if (p === "/settings") return [html`<${Settings} />`, "Settings"];
  return [html`<main><div class="empty"><h1 tabindex="-1">There is no such page</h1><p><${Link} class="button" href="/jobs">All jobs<//></p></div></main>`, "Not found"];
}

/** @param {string} s */
function decoded(s) {
  try { return decodeURIComponent(s); } catch { return s; }
}

/** Jobs if any are alive, else a new one. */
function Landing() {
  const known = loaded.value || loadError.value;
  useEffect(() => { if (known) go(anyActive.value || loadError.value ? "/jobs" : "/quantization", { replace: true }); }, [known]);
  return html`<main><${Loading} lines=${4} /></main>`;
}

function Frame() {
  const [content, title] = view();
  const running = newestFirst.value.filter(active).length;
  useEffect(() => { document.title = title === "nexus-quant" ? title : `${title} – nexus-quant`; }, [title]);
  const here = (/** @type {string} */ href) => (path.value === href || path.value.startsWith(href + "/") ? "page" : undefined);
  return html`
    <a class="skip" href="#content">Skip to the content</a>
    <header class="top">
      <${Link} href=${running ? "/jobs" : "/quantization"} class="brand" aria-label="nexus-quant, start"><img src="/static/icon.svg" alt="" width="28" height="28" /><span>nexus-quant</span><//>
      <nav aria-label="Pages">${links.map(([href, label]) => html`<${Link} href=${href} aria-current=${here(href)}>${label}${href === "/jobs" && running > 0 ? html` <span class="count num"><span aria-hidden="true">${running}</span><span class="unseen">, ${running} active</span></span>` : ""}<//>`)}</nav>
    </header>
    <div aria-live="polite">
      ${signedOut.value && html`<div class="band lost"><strong>You are signed out.</strong> <a href=${`/login?next=${encodeURIComponent(location.pathname + location.search)}`}>Sign in</a> to go on; running jobs don't depend on this page.</div>`}
      ${lostSince.value > 0 && !signedOut.value && html`<div class="band lost"><strong>Connection lost.</strong> Trying again. What you see is of ${when(new Date(lostSince.value).toISOString())}; running jobs don't depend on this page.</div>`}
      ${outdated.value && html`<div class="band">The server has another version than this page. <button type="button" class="small" onClick=${() => location.reload()}>Load the new page</button></div>`}
    </div>
    <div id="content">${content}</div>
    <${Asking} /><${Speaker} />`;
}

start();
render(html`<${Frame} />`, /** @type {HTMLElement} */ (document.getElementById("app")));
