// Pods by criticality, with their state and why.
import { Pure, html, pure } from "../html.js";
import { count } from "../format.js";
import { podKey } from "../sharing.js";
import { Criticality, State } from "./marks.js";
import { VirtualList } from "./virtual_list.js";

const HEIGHT = 46;

/** Each word has to be somewhere in a pod's texts. */
function matches(pod, words) {
  const text = `${pod.namespace}/${pod.name} ${pod.node} ${pod.criticality} ${pod.state} ${pod.why}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

const Pod = pure(({ pod, tab }) => html`
  <div class="pod">
    <${Criticality} of=${pod.criticality} />
    <div class="who">
      <button type="button" class="name" data-open tabindex=${tab}><span class="space">${pod.namespace}/</span>${pod.name}</button>
      <span class="why" title=${pod.why || pod.enforced_why}>${reason(pod)}</span>
    </div>
    <${State} of=${pod.state} />
  </div>`);

/** The second line: why it does not run, or where it runs and whether the kernel enforces it. */
function reason(pod) {
  if (pod.why) return pod.why;
  const where = pod.node ? `on ${pod.node}` : "on no node";
  if (pod.enforced === true) return `${where}, ${count(pod.tasks, "task", "tasks")} enforced`;
  if (pod.enforced === false) return `${where}, not enforced: ${pod.enforced_why}`;
  return pod.tasks ? `${where}, ${count(pod.tasks, "task", "tasks")}` : where;
}

export class Pods extends Pure {
  constructor(props) {
    super(props);
    this.state = { filter: "" };
    this.draw = (pod, tab) => html`<${Pod} pod=${pod} tab=${tab} />`;
    this.type = (event) => this.setState({ filter: event.target.value });
  }

  /** The same array while neither pods nor words change. */
  visible(pods, filter) {
    if (this.from !== pods || this.by !== filter) {
      const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
      this.found = words.length ? pods.filter((pod) => matches(pod, words)) : pods;
      this.from = pods;
      this.by = filter;
    }
    return this.found;
  }

  render({ pods, onPod }, { filter }) {
    const found = this.visible(pods, filter);
    return html`
      <section class="pane pods" aria-labelledby="pods-title">
        <div class="title">
          <h2 id="pods-title">Pods</h2>
          <input type="search" class="filter" aria-label="Filter pods" placeholder="Filter: name, node, HI, refused …" value=${filter} onInput=${this.type} />
          <p class="found" role="status">${filter ? `${found.length} of ${pods.length}` : count(pods.length, "pod", "pods")}</p>
        </div>
        <${VirtualList} items=${found} keyOf=${podKey} heightOf=${HEIGHT} draw=${this.draw} onOpen=${onPod}
          label="Pods by criticality" empty=${filter ? "No pod has all these words." : "No pod that you may read has demands on k40s."} />
      </section>`;
  }
}
