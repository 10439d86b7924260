// Signs that tell without colour what something is.
import { html, pure } from "../html.js";

const LETTERS = { HI: "H", LOW: "L", NO: "N" };
export const kindOf = (criticality) => ({ HI: "hi", LOW: "low", NO: "no" })[criticality] ?? "other";

/** The criticality of a pod, as its word on its pattern. */
export const Criticality = pure(({ of }) => html`<span class=${`mark ${kindOf(of)}`}>${of in LETTERS ? of : "–"}</span>`);

const SIGNS = { running: "●", waiting: "○", refused: "✕", claiming: "◔", throttled: "▼", moving: "→", ended: "■" };

/** The state of a pod, with a sign of its own. */
export const State = pure(({ of }) => html`
  <span class=${`state ${of}`}><span aria-hidden="true">${SIGNS[of] ?? "?"}</span> ${of}</span>`);

/** The level of a node on its scale to 20, with what LOW (7) and HI (14) need. */
export const Level = pure(({ level, reduced }) => {
  const said = level === null ? "no usable level" : `level ${level} of 20${reduced ? `, lowered by ${reduced}` : ""}`;
  const grade = level === null ? "none" : level >= 14 ? "hi" : level >= 7 ? "low" : "no";
  return html`
    <span class=${`level ${grade}`} title=${`${said}; LOW needs 7, HI needs 14`}>
      <span class="number" aria-hidden="true">${reduced > 0 && html`<small>−${reduced}</small>`}${level ?? "–"}</span>
      <svg class="gauge" viewBox="0 0 80 8" role="img" aria-label=${said}>
        <rect class="track" width="80" height="8" rx="2" />
        <rect class="lost" x=${(level ?? 0) * 4} width=${reduced * 4} height="8" />
        <rect class="fill" width=${(level ?? 0) * 4} height="8" rx="2" />
        <path class="needs" d="M28 0V8M56 0V8" />
      </svg>
    </span>`;
});
