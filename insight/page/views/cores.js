// A core and its servers as one stacked bar: reserved, unused, and what may not be reserved.
import { html, pure } from "../html.js";
import { duration, percent } from "../format.js";
import { kindOf } from "./marks.js";

const SHORT = { HI: "H", LOW: "L", NO: "N" };
export const sumOf = (core) => core.servers.reduce((sum, server) => sum + server.share, 0);
export const coreName = (core) => (core === "any" ? "all CPUs" : `core ${core}`);

/** Whose server it is; those that the reader may not see are one server without a pod. */
export const ownerOf = (server) => (server.pod_uid ? `${server.namespace}/${server.pod}` : "other namespaces");

function sentence(server) {
  if (!server.pod_uid) return `other namespaces: ${percent(server.share)}`;
  return `${server.criticality} ${ownerOf(server)} (${server.container}): ${duration(server.budget)} each ${duration(server.period)}, ${percent(server.share)}, ${server.mechanism}`;
}

export const CoreBar = pure(({ core, onPod }) => {
  const scale = Math.max(1, core.capacity, sumOf(core));
  const used = sumOf(core);
  const said = `${coreName(core.core)}: ${percent(used)} of ${percent(core.capacity)} reserved. ${core.servers.map(sentence).join("; ")}`;
  let at = 0;
  const segments = core.servers.map((server) => {
    const begin = at;
    at += server.share;
    return html`<${Segment} key=${`${server.pod_uid} ${server.container}`} server=${server} left=${begin / scale} width=${server.share / scale} onPod=${onPod} />`;
  });
  return html`
    <div class="core">
      <span class="label">${coreName(core.core)}</span>
      <div class="bar" role="img" aria-label=${said}>
        ${segments}
        <span class="unused" style=${{ left: `${(used / scale) * 100}%`, width: `${(Math.max(0, core.capacity - used) / scale) * 100}%` }}
          title=${`unused: ${percent(Math.max(0, core.capacity - used))}`}></span>
        <span class="beyond" style=${{ left: `${(core.capacity / scale) * 100}%` }} title=${`may be reserved: ${percent(core.capacity)}`}></span>
      </div>
      <span class="figure">${(used * 100).toFixed(0)}<small>/${(core.capacity * 100).toFixed(0)} %</small></span>
    </div>`;
});

/** The text is cut where the bar is too short for it; the tooltip has it whole. */
const Segment = pure(({ server, left, width, onPod }) => html`
  <span class=${`segment ${server.pod_uid ? kindOf(server.criticality) : "other"}`} title=${sentence(server)}
    style=${{ left: `${left * 100}%`, width: `${width * 100}%` }}
    onClick=${server.pod_uid ? (event) => { event.stopPropagation(); onPod({ namespace: server.namespace, name: server.pod }); } : null}>
    <b>${SHORT[server.criticality] ?? "·"}</b> ${server.pod_uid ? server.pod : "others"}</span>`);

/** The same as a table, each pod a button: for readers of screens, and for exact figures. */
export const CoreTable = pure(({ cores, onPod }) => html`
  <table class="servers">
    <thead><tr><th scope="col">core</th><th scope="col">pod</th><th scope="col">container</th><th scope="col" class="figure">budget</th><th scope="col" class="figure">period</th><th scope="col" class="figure">share</th></tr></thead>
    <tbody>
      ${cores.flatMap((core) => [
        ...core.servers.map((server) => html`
          <tr key=${`${core.core} ${server.pod_uid} ${server.container}`}>
            <td>${core.core}</td>
            <td>${server.pod_uid
              ? html`<span class=${`mark ${kindOf(server.criticality)}`}>${server.criticality}</span> <button type="button" class="link" onClick=${() => onPod({ namespace: server.namespace, name: server.pod })}>${ownerOf(server)}</button>`
              : "other namespaces"}</td>
            <td>${server.container}</td>
            <td class="figure">${server.pod_uid && duration(server.budget)}</td>
            <td class="figure">${server.pod_uid && duration(server.period)}</td>
            <td class="figure">${percent(server.share)}</td>
          </tr>`),
        html`<tr key=${`${core.core} unused`} class="rest"><td>${core.core}</td><td colspan="4">unused, of ${percent(core.capacity)} that may be reserved</td><td class="figure">${percent(Math.max(0, core.capacity - sumOf(core)))}</td></tr>`,
      ])}
    </tbody>
  </table>`);
