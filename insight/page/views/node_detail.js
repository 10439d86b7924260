// A node in full: daemons, hazards, suspects, all servers as a table, its pods.
import { html, pure } from "../html.js";
import { age } from "../format.js";
import { CoreBar, CoreTable } from "./cores.js";
import { Criticality, Level, State } from "./marks.js";

const Fact = pure(({ name, children }) => html`<div><dt>${name}</dt><dd>${children}</dd></div>`);

const Daemons = ({ daemons }) => html`
  <ul class="plain">${daemons.map((daemon) => html`
    <li key=${daemon.name}>${daemon.name}: ${daemon.silent === null ? "heard" : html`<strong class="bad">silent for ${age(daemon.silent)}</strong>`}</li>`)}
  </ul>`;

const Suspects = ({ suspects, onPod }) => html`
  <ul class="plain">${suspects.map((one) => html`
    <li key=${`${one.namespace}/${one.pod}`}>
      <button type="button" class="link" onClick=${() => onPod({ namespace: one.namespace, name: one.pod })}>${one.namespace}/${one.pod}</button>
      <span> ${one.evidence}${one.act && html`, <strong>${one.act}</strong>`}</span>
    </li>`)}
  </ul>`;

export const NodeDetail = pure(({ name, node, pods, onPod }) => {
  if (!node) return html`<p class="empty">The cluster has no node ${name} any more.</p>`;
  const here = pods.filter((pod) => pod.node === name);
  const without = node.level === null ? null : node.level + node.reduced;
  return html`
    <div class="detail">
      <dl class="facts">
        <${Fact} name="level"><${Level} level=${node.level} reduced=${node.reduced} /><//>
        ${node.level !== null && html`<${Fact} name="its parts">hardware ${node.hardware} of 5, software ${node.software} of 5, state ${node.level - node.hardware - node.software} of 10<//>`}
        ${node.reduced > 0 && html`<${Fact} name="without its hazards">${without} of 20<//>`}
        ${node.assurance_refusal && html`<${Fact} name="level refused"><code>${node.assurance_refusal}</code><//>`}
        ${node.cpu_refusal && html`<${Fact} name="CPU refused"><code>${node.cpu_refusal}</code><//>`}
        <${Fact} name="platform">${node.platform || "not said"}<//>
        <${Fact} name="ready">${node.ready ? "yes" : "no"}<//>
        ${node.hazards.length > 0 && html`<${Fact} name="hazards"><strong class="bad">${node.hazards.join(", ")}</strong><//>`}
        ${node.suspects.length > 0 && html`<${Fact} name="suspects"><${Suspects} suspects=${node.suspects} onPod=${onPod} /><//>`}
        <${Fact} name="daemons">${node.daemons.length ? html`<${Daemons} daemons=${node.daemons} />` : "none"}<//>
      </dl>
      ${node.cores.length > 0 && html`
        <h3>Cores</h3>
        ${node.cores.map((core) => html`<${CoreBar} key=${core.core} core=${core} onPod=${onPod} />`)}
        <${CoreTable} cores=${node.cores} onPod=${onPod} />`}
      <h3>Pods</h3>
      ${here.length === 0 && html`<p class="empty">No pod that you may read has demands on k40s here.</p>`}
      <ul class="plain pods-here">${here.map((pod) => html`
        <li key=${pod.uid}><${Criticality} of=${pod.criticality} />
          <button type="button" class="link" onClick=${() => onPod(pod)}>${pod.namespace}/${pod.name}</button> <${State} of=${pod.state} /></li>`)}
      </ul>
    </div>`;
});
