// What was chosen, beside the sections: a pod explained, or a node in full. Esc closes it.
import { Component, html } from "../html.js";
import { NodeDetail } from "./node_detail.js";
import { PodDetail } from "./pod_detail.js";

const titleOf = (chosen) => (chosen.kind === "pod" ? `${chosen.namespace}/${chosen.name}` : chosen.name);

export class Panel extends Component {
  constructor(props) {
    super(props);
    this.holdPanel = (element) => { this.panel = element; };
    this.holdHeading = (element) => { this.heading = element; };
  }

  componentDidMount() {
    this.heading.focus();
  }

  componentDidUpdate(before) {
    if (before.chosen !== this.props.chosen) {
      this.panel.scrollTop = 0;
      this.heading.focus();
    }
  }

  detail({ chosen, overview, store, onPod, onNode }) {
    if (chosen.kind === "node") {
      const node = overview.nodes.find((one) => one.name === chosen.name);
      return html`<${NodeDetail} name=${chosen.name} node=${node} pods=${overview.pods} onPod=${onPod} />`;
    }
    const pod = overview.pods.find((one) => one.name === chosen.name && one.namespace === chosen.namespace);
    return html`<${PodDetail} key=${titleOf(chosen)} namespace=${chosen.namespace} name=${chosen.name} pod=${pod} store=${store} onNode=${onNode} onPod=${onPod} />`;
  }

  render(props) {
    const { chosen, onClose } = props;
    return html`
      <section class="panel" role="dialog" aria-labelledby="panel-title" ref=${this.holdPanel}>
        <div class="panel-head">
          <p class="over">${chosen.kind === "pod" ? "Pod" : "Node"}</p>
          <h2 id="panel-title" tabindex="-1" ref=${this.holdHeading}>${titleOf(chosen)}</h2>
          <button type="button" class="quiet" onClick=${onClose}>Close <kbd>Esc</kbd></button>
        </div>
        ${this.detail(props)}
      </section>`;
  }
}
