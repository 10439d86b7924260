// Nodes, each a card: level, its line, hazards, cores.
import { Pure, html, pure } from "../html.js";
import { age } from "../format.js";
import { CoreBar } from "./cores.js";
import { LevelLine } from "./level_line.js";
import { Level } from "./marks.js";
import { VirtualList } from "./virtual_list.js";

/** Cores drawn on a card; a node's panel has them all. */
const DRAWN = 8;
const HEAD = 58;
const NOTE = 24;
const CORE = 27;
const PADDING = 14;

/** What a person should know of a node at once: [kind, text]. */
export function notes(node) {
  const silent = node.daemons.filter((daemon) => daemon.silent !== null);
  return [
    !node.ready && ["bad", "not ready"],
    node.level === null && ["bad", `no usable level${node.assurance_refusal ? `: ${node.assurance_refusal}` : ""}`],
    node.hazards.length > 0 && ["bad", `hazard: ${node.hazards.join(", ")}`],
    ...node.suspects.map((one) => ["warn", `suspect: ${one.pod}${one.act && ` (${one.act})`}`]),
    ...silent.map((daemon) => ["bad", `${daemon.name} silent for ${age(daemon.silent)}`]),
    node.cpu_refusal && ["muted", node.cpu_refusal],
  ].filter(Boolean);
}

const hidden = (node) => Math.max(0, node.cores.length - DRAWN);

/** The height of a card in px: known without drawing it. */
function heightOf(node) {
  const rows = Math.min(node.cores.length, DRAWN) + (hidden(node) ? 1 : 0);
  return HEAD + PADDING + (notes(node).length ? NOTE : 0) + rows * CORE;
}

const Notes = pure(({ node }) => {
  const all = notes(node);
  const text = all.map(([, one]) => one).join(" · ");
  return all.length > 0 && html`
    <p class="notes" title=${text}>${all.map(([kind, one]) => html`<span key=${one} class=${`note ${kind}`}>${one}</span>`)}</p>`;
});

class Card extends Pure {
  render({ node, history, tab, onPod }) {
    const kinds = [node.real_time ? "real-time" : "ordinary", node.platform].filter(Boolean).join(" · ");
    return html`
      <article class="card">
        <div class="head">
          <div class="who">
            <button type="button" class="name" data-open tabindex=${tab}>${node.name}</button>
            <span class="kinds">${kinds}</span>
          </div>
          <${LevelLine} name=${node.name} history=${history} />
          <${Level} level=${node.level} reduced=${node.reduced} />
        </div>
        <${Notes} node=${node} />
        ${node.cores.slice(0, DRAWN).map((core) => html`<${CoreBar} key=${core.core} core=${core} onPod=${onPod} />`)}
        ${hidden(node) > 0 && html`<p class="more">and ${hidden(node)} more cores</p>`}
      </article>`;
  }
}

export class Nodes extends Pure {
  constructor(props) {
    super(props);
    const { history, onPod, onNode } = props;
    this.draw = (node, tab) => html`<${Card} node=${node} history=${history} tab=${tab} onPod=${onPod} />`;
    this.open = (node) => onNode(node.name);
    this.keyOf = (node) => node.name;
  }

  render({ nodes }) {
    return html`
      <section class="pane nodes" aria-labelledby="nodes-title">
        <div class="title">
          <h2 id="nodes-title">Nodes</h2>
          <p class="legend">
            <span><span class="mark hi">H</span> HI</span>
            <span><span class="mark low">L</span> LOW</span>
            <span><span class="mark other">·</span> not yours to see</span>
            <span><span class="swatch unused"></span> unused</span>
            <span><span class="swatch beyond"></span> not to be reserved</span>
          </p>
        </div>
        <${VirtualList} items=${nodes} keyOf=${this.keyOf} heightOf=${heightOf} draw=${this.draw} onOpen=${this.open}
          label="Nodes" empty="The API server has no nodes." />
      </section>`;
  }
}
