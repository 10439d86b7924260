// Networks: a TDMA cycle as a strip of slots, others as their load.
import { Pure, html, pure } from "../html.js";
import { count, duration, percent } from "../format.js";

/** Cycles drawn at most; slots of longer periods are said to go on. */
const DRAWN = 8;

const gcd = (left, right) => (right ? gcd(right, left % right) : left);
const lcm = (left, right) => (left / gcd(left, right)) * right;

/** After how many cycles the pattern repeats. */
export const hyperperiod = (slots) => slots.reduce((all, slot) => lcm(all, Math.max(1, slot.period)), 1);

const nameOf = (slot) => (slot.pod_uid ? slot.pod : "others");
const rhythm = (slot) => (slot.period === 1 ? "each cycle" : `each ${slot.period} cycles, in cycle ${slot.phase}`);
const sentence = (slot) => `${slot.pod_uid ? `${slot.namespace}/${slot.pod}` : "other namespaces"}${slot.node && ` on ${slot.node}`}: ${duration(slot.length)} at ${duration(slot.offset)}, ${rhythm(slot)}`;

const Strip = pure(({ slots, cycle, number, onPod }) => html`
  <div class="cycle">
    <span class="label">cycle ${number}</span>
    <div class="bar" role="img" aria-label=${`cycle ${number} of ${duration(cycle)}: ${slots.map(sentence).join("; ") || "no slots"}`}>
      ${slots.map((slot) => html`
        <span key=${`${slot.pod_uid} ${slot.offset}`} class=${`slot ${slot.pod_uid ? "" : "other"}`} title=${sentence(slot)}
          style=${{ left: `${(slot.offset / cycle) * 100}%`, width: `${(slot.length / cycle) * 100}%` }}
          onClick=${slot.pod_uid ? () => onPod({ namespace: slot.namespace, name: slot.pod }) : null}>${nameOf(slot)}</span>`)}
    </div>
  </div>`);

const Slots = pure(({ network, onPod }) => html`
  <details class="slots">
    <summary>${count(network.slots.length, "slot", "slots")} as a table</summary>
    <table>
      <thead><tr><th scope="col">pod</th><th scope="col">node</th><th scope="col" class="figure">offset</th><th scope="col" class="figure">length</th><th scope="col">when</th></tr></thead>
      <tbody>${network.slots.map((slot) => html`
        <tr key=${`${slot.pod_uid} ${slot.offset} ${slot.phase}`}>
          <td>${slot.pod_uid
            ? html`<button type="button" class="link" onClick=${() => onPod({ namespace: slot.namespace, name: slot.pod })}>${slot.namespace}/${slot.pod}</button>`
            : "other namespaces"}</td>
          <td>${slot.node}</td><td class="figure">${duration(slot.offset)}</td><td class="figure">${duration(slot.length)}</td><td>${rhythm(slot)}</td>
        </tr>`)}</tbody>
    </table>
  </details>`);

const Network = pure(({ network, onPod }) => {
  const all = network.cycle === null ? 0 : hyperperiod(network.slots);
  const cycles = Array.from({ length: Math.min(all, DRAWN) }, (_, number) => number);
  return html`
    <article class="network">
      <div class="head">
        <h3>${network.name}</h3>
        <span class="kinds">${network.kind} · ${network.cycle === null ? "no cycle" : `cycle ${duration(network.cycle)}`} · ${count(network.nodes.length, "node", "nodes")}</span>
        <span class="figure">${percent(network.utilization)} <small>held</small></span>
      </div>
      ${network.refusal && html`<p class="notes"><span class="note bad">${network.refusal}</span></p>`}
      ${cycles.map((number) => html`
        <${Strip} key=${number} number=${number} cycle=${network.cycle} onPod=${onPod}
          slots=${network.slots.filter((slot) => number % slot.period === slot.phase)} />`)}
      ${cycles.length > 0 && html`<div class="cycle axis" aria-hidden="true"><span></span><span class="ticks"><i>0</i><i>${duration(network.cycle / 2)}</i><i>${duration(network.cycle)}</i></span></div>`}
      ${all > DRAWN && html`<p class="more">the pattern repeats after ${all} cycles; ${DRAWN} are drawn</p>`}
      ${network.slots.length > 0 && html`<${Slots} network=${network} onPod=${onPod} />`}
    </article>`;
});

export class Networks extends Pure {
  render({ networks, onPod }) {
    return html`
      <section class="pane networks" aria-labelledby="networks-title">
        <div class="title"><h2 id="networks-title">Networks</h2></div>
        <div class="scroll" tabindex="0" role="group" aria-labelledby="networks-title">
          ${networks.length === 0 && html`<p class="empty">The cluster has no networks of k40s.</p>`}
          ${networks.map((network) => html`<${Network} key=${network.name} network=${network} onPod=${onPod} />`)}
        </div>
      </section>`;
  }
}
