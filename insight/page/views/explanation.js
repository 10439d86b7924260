// Filter's verdict on each node: where the pod fits with its score, elsewhere the reason.
import { Component, html, pure } from "../html.js";
import { age, count } from "../format.js";

/** Nodes of a group drawn before a person asks for all. */
const FIRST = 12;

const byScore = (left, right) => right.score - left.score;

/** [reason, nodes] of those where it does not fit, most nodes first. */
function refusals(nodes) {
  const groups = new Map();
  for (const node of nodes) if (node.reason !== null) groups.set(node.reason, [...(groups.get(node.reason) ?? []), node]);
  return [...groups].sort((left, right) => right[1].length - left[1].length);
}

const Figures = ({ figures }) => html`
  <table class="narrow">
    <thead><tr><th scope="col">of</th><th scope="col" class="figure">needed</th><th scope="col" class="figure">free</th></tr></thead>
    <tbody>${figures.map((one) => html`<tr key=${one.what}><td>${one.what}</td><td class="figure">${one.needed}</td><td class="figure">${one.free}</td></tr>`)}</tbody>
  </table>`;

const Obstacles = ({ obstacles, onPod }) => html`
  <p class="sub">In the way</p>
  <ul class="plain">${obstacles.map((one) => html`
    <li key=${one.pod_uid + one.what}>${one.pod
      ? html`<button type="button" class="link" onClick=${() => onPod({ namespace: one.namespace, name: one.pod })}>${one.namespace}/${one.pod}</button>`
      : "a pod of another namespace"} ${one.criticality && `(${one.criticality})`} ${one.what}</li>`)}</ul>`;

const Verdict = pure(({ node, onPod, onNode }) => html`
  <li class="verdict">
    <p><button type="button" class="link" onClick=${() => onNode(node.name)}>${node.name}</button>
      ${node.score !== null && html`<span class="score">score ${node.score} of 10</span>`}
      <small>${node.age === null ? "state never current" : `state ${age(node.age)} old`}</small></p>
    ${node.detail && html`<p>${node.detail}</p>`}
    ${node.figures.length > 0 && html`<${Figures} figures=${node.figures} />`}
    ${node.obstacles.length > 0 && html`<${Obstacles} obstacles=${node.obstacles} onPod=${onPod} />`}
    ${node.remedies.length > 0 && html`<p class="sub">Would make it fit</p><ul class="remedies">${node.remedies.map((text) => html`<li key=${text}>${text}</li>`)}</ul>`}
    ${node.parts.length > 0 && html`<p class="parts">${node.parts.map((part) => html`<span key=${part.name}>${part.name} ${part.score.toFixed(1)} × ${part.weight}</span>`)}</p>`}
  </li>`);

/** A group of nodes with the same verdict. */
class Group extends Component {
  constructor(props) {
    super(props);
    this.state = { all: props.nodes.length <= FIRST };
  }

  render({ nodes, title, open, onPod, onNode }, { all }) {
    const shown = all ? nodes : nodes.slice(0, FIRST);
    return html`
      <details class="group" open=${open}>
        <summary>${title}</summary>
        <ul class="plain">${shown.map((node) => html`<${Verdict} key=${node.name} node=${node} onPod=${onPod} onNode=${onNode} />`)}</ul>
        ${!all && html`<button type="button" class="quiet" onClick=${() => this.setState({ all: true })}>Show all ${nodes.length} nodes</button>`}
      </details>`;
  }
}

export const Explanation = pure(({ explanation, onPod, onNode }) => {
  const fits = explanation.nodes.filter((node) => node.reason === null).sort(byScore);
  const groups = refusals(explanation.nodes);
  return html`
    <section class="explanation">
      <h3>Where it could run</h3>
      ${explanation.fault && html`<p class="note bad">Its annotations are refused: ${explanation.fault}</p>`}
      <p class="summary">${fits.length} of ${count(explanation.nodes.length, "node", "nodes")} ${fits.length === 1 ? "fits" : "fit"}.</p>
      ${fits.length > 0 && html`<${Group} nodes=${fits} open=${groups.length === 0} title=${html`<b class="good">✓</b> fits on ${count(fits.length, "node", "nodes")}, best score first`} onPod=${onPod} onNode=${onNode} />`}
      ${groups.map(([reason, nodes], index) => html`
        <${Group} key=${reason} nodes=${nodes} open=${index === 0 && fits.length === 0} onPod=${onPod} onNode=${onNode}
          title=${html`<b class="bad">✕</b> <code>${reason}</code> on ${count(nodes.length, "node", "nodes")}: ${nodes[0].text}`} />`)}
    </section>`;
});
