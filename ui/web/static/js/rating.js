// What somebody thinks of a model: stars wherever it is shown, and notes on its page.
import { html, useState } from "../vendor/preact.js";
import { modelPath, post } from "./api.js";
import { count } from "./format.js";
import { Failure, say } from "./parts.js";

/** @typedef {import("./contract").Model} Model */
/** @typedef {import("./contract").Rating} Rating */

/** @param {string} id @param {Rating} r @returns {Promise<Rating>} */
const keep = (id, r) => post(`/registry/models/${modelPath(id)}/rating`, r);

/** Five stars, one of which is chosen. @param {{value: number, set: (n: number) => void, name: string, label: string, small?: boolean, children?: any}} p name: unique on the page */
const Stars = ({ value, set, name, label, small, children }) => html`<fieldset class=${`stars ${small ? "tiny" : ""}`}><legend class="unseen">${label}</legend>
  ${[1, 2, 3, 4, 5].map((n) => html`<label class=${n <= value ? "on" : ""} title=${count(n, "star")}><input type="radio" name=${name} value=${n} checked=${value === n} onChange=${() => set(n)} /><span aria-hidden="true">★</span><span class="unseen">${count(n, "star")}</span></label>`)}
  ${children}</fieldset>`;

/** Stars in a list: a click keeps them, notes and tags stay as they were. @param {{model: Model, place: string, rated: (r: Rating) => void}} p place: what tells several of one model apart */
export function RateQuickly({ model, place, rated }) {
  const [error, setError] = useState(/** @type {any} */ (null));
  const set = async (/** @type {number} */ n) => {
    const { notes, tags } = model.rating && !model.rating.variant ? model.rating : { notes: "", tags: [] };
    try {
      rated(await keep(model.id, { rating: n, notes: notes ?? "", tags: tags ?? [] }));
      setError(null);
      say(`${model.id}: ${count(n, "star")}`);
    } catch (e) { setError(e); }
  };
  return html`<${Stars} value=${model.rating?.rating ?? 0} set=${set} name=${`stars ${place}`} label=${`Rating of ${model.id}`} small=${true} />${error && html`<${Failure} error=${error} />`}`;
}

/** @param {{model: Model}} p */
export function Rate({ model }) {
  const [stars, setStars] = useState(model.rating?.rating ?? 0);
  const [notes, setNotes] = useState(model.rating?.notes ?? "");
  const [tags, setTags] = useState((model.rating?.tags ?? []).join(", "));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [saved, setSaved] = useState(!!model.rating);
  const save = async (/** @type {Event} */ e) => {
    e.preventDefault();
    try {
      await keep(model.id, { rating: stars, notes, tags: tags.split(",").map((t) => t.trim()).filter(Boolean) });
      setSaved(true);
      setError(null);
      say("rating saved");
    } catch (err) { setError(err); }
  };
  const changed = (/** @type {(v: any) => void} */ set) => (/** @type {any} */ v) => { set(v); setSaved(false); };
  return html`<section aria-label="Rating and notes"><h2>Rating and notes</h2>
    <form class="stack" onSubmit=${save}>
      <${Stars} value=${stars} set=${changed(setStars)} name="stars" label="Rating"><span class="faint">${stars ? `${stars} of 5` : "not rated"}</span><//>
      <div class="columns"><div class="field"><label for="notes">Notes</label><textarea id="notes" rows="3" maxlength="10000" value=${notes} onInput=${(/** @type {any} */ e) => changed(setNotes)(e.target.value)}></textarea></div>
      <div class="field"><label for="tags">Tags, with commas between</label><input id="tags" value=${tags} autocomplete="off" onInput=${(/** @type {any} */ e) => changed(setTags)(e.target.value)} /></div></div>
      ${error && html`<${Failure} error=${error} />`}
      <div class="actions"><button type="submit" disabled=${!stars || saved}>${saved ? "Saved" : "Save rating"}</button></div>
    </form></section>`;
}
