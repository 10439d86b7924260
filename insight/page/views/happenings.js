// What k40s did and saw, newest first, by kind.
import { Pure, html, pure } from "../html.js";
import { clock, day } from "../format.js";
import { now } from "../server_time.js";
import { VirtualList } from "./virtual_list.js";

const HEIGHT = 46;
const SIGNS = { alarm: "▲", suspect: "◆", act: "▼", level: "≈", move: "→", preemption: "⇄", refusal: "✕", kernel: "⚙", network: "⌁", other: "·" };
const keyOf = (one) => `${one.at}${one.kind}${one.node}${one.namespace}/${one.pod}${one.text}`;
const subject = (one) => (one.pod ? `${one.namespace}/${one.pod}` : one.node || "cluster");

const Happening = pure(({ one, tab, today }) => html`
  <div class=${`happening is-${one.kind}`}>
    <time datetime=${one.at} title=${one.at}>${clock(one.at)}${day(one.at) !== today && html`<small>${day(one.at)}</small>`}</time>
    <span class="dot" aria-hidden="true">${SIGNS[one.kind] ?? "·"}</span>
    <div class="who">
      <button type="button" class="name" data-open tabindex=${tab}><span class="kind">${one.kind}</span> ${subject(one)}${one.pod && one.node && html` <small>on ${one.node}</small>`}</button>
      <span class="why" title=${one.text}>${one.text}</span>
    </div>
  </div>`);

export class Happenings extends Pure {
  constructor(props) {
    super(props);
    this.state = { kinds: new Set() };
    this.draw = (one, tab) => html`<${Happening} one=${one} tab=${tab} today=${day(new Date(now()).toISOString())} />`;
    this.open = (one) => (one.pod ? props.onPod({ namespace: one.namespace, name: one.pod }) : one.node && props.onNode(one.node));
  }

  toggle(kind) {
    const kinds = new Set(this.state.kinds);
    if (!kinds.delete(kind)) kinds.add(kind);
    this.setState({ kinds });
  }

  visible(happenings, kinds) {
    if (this.from !== happenings || this.by !== kinds) {
      this.found = kinds.size ? happenings.filter((one) => kinds.has(one.kind)) : happenings;
      this.from = happenings;
      this.by = kinds;
    }
    return this.found;
  }

  render({ happenings }, { kinds }) {
    const present = new Map(Object.keys(SIGNS).map((kind) => [kind, 0]));
    for (const { kind } of happenings) present.set(kind, (present.get(kind) ?? 0) + 1);
    const chips = [...present].filter(([kind, number]) => number > 0 || kinds.has(kind));
    return html`
      <section class="pane happenings" aria-labelledby="happenings-title">
        <div class="title">
          <h2 id="happenings-title">Happenings</h2>
          <div class="chips" role="group" aria-label="Only these kinds">
            ${chips.map(([kind, number]) => html`
              <button type="button" key=${kind} class="chip" aria-pressed=${String(kinds.has(kind))} onClick=${() => this.toggle(kind)}>
                <span aria-hidden="true">${SIGNS[kind] ?? "·"}</span> ${kind} <span class="figure">${number}</span></button>`)}
          </div>
        </div>
        <${VirtualList} items=${this.visible(happenings, kinds)} keyOf=${keyOf} heightOf=${HEIGHT} draw=${this.draw} onOpen=${this.open}
          label="Happenings, newest first" empty="Nothing has happened that the cluster still remembers." />
      </section>`;
  }
}
