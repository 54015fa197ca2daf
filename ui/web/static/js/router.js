// Addresses of the page's views.
import { html, signal } from "../vendor/preact.js";

export const path = signal(location.pathname);
export const search = signal(location.search);

/** @param {string} to @param {{replace?: boolean}} [o] */
export function go(to, { replace = false } = {}) {
  if (to === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", to);
  read();
  if (!replace) {
    scrollTo(0, 0);
    // who can't see the page hears that it is another one
    requestAnimationFrame(() => /** @type {HTMLElement | null} */ (document.querySelector("main h1"))?.focus({ preventScroll: true }));
  }
}

function read() {
  path.value = location.pathname;
  search.value = location.search;
}

addEventListener("popstate", read);

/** A link within the page. @param {any} props */
export function Link({ href, children, ...rest }) {
  const click = (/** @type {MouseEvent} */ e) => {
    if (e.button || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
    e.preventDefault();
    go(href);
  };
  return html`<a href=${href} onClick=${click} ...${rest}>${children}</a>`;
}
