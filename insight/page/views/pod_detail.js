// A pod: what the overview says of it, then the answer to "why", asked of the server.
import { Component, html } from "../html.js";
import { now } from "../server_time.js";
import { Since } from "./clock.js";
import { Explanation } from "./explanation.js";
import { Criticality, State } from "./marks.js";
import { Story } from "./story.js";

/** state: `answer` {explanation, running}, or null; `error`; `asked` as an RFC 3339 time. */
export class PodDetail extends Component {
  constructor(props) {
    super(props);
    this.state = { answer: null, error: "", asked: "" };
  }

  componentDidMount() {
    this.ask();
  }

  componentDidUpdate(before) {
    if (before.pod !== this.props.pod) this.ask();
  }

  componentWillUnmount() {
    this.request?.abort();
  }

  async ask() {
    this.request?.abort();
    const request = new AbortController();
    this.request = request;
    const { store, namespace, name } = this.props;
    try {
      const answer = await store.explain(namespace, name, request.signal);
      this.setState({ answer, error: "", asked: new Date(now()).toISOString() });
    } catch (error) {
      if (!request.signal.aborted) this.setState({ error: error.message });
    }
  }

  render({ pod, onNode, onPod }, { answer, error, asked }) {
    return html`
      <div class="detail">
        ${pod && html`
          <dl class="facts">
            <div><dt>criticality</dt><dd><${Criticality} of=${pod.criticality} /></dd></div>
            <div><dt>state</dt><dd><${State} of=${pod.state} />${pod.why && html` <span>${pod.why}</span>`}</dd></div>
            <div><dt>node</dt><dd>${pod.node ? html`<button type="button" class="link" onClick=${() => onNode(pod.node)}>${pod.node}</button>` : "none"}</dd></div>
            <div><dt>since</dt><dd>${pod.since ? html`<${Since} at=${pod.since} /> ago` : "not known"}</dd></div>
          </dl>`}
        ${!pod && html`<p class="empty">The overview has no such pod at present.</p>`}
        ${error && html`<p class="note bad" role="alert">No explanation: ${error}</p>`}
        ${!answer && !error && html`<p class="empty" role="status">Asking for the explanation …</p>`}
        ${answer?.running && html`<${Story} story=${answer.running} />`}
        ${answer?.explanation && html`<${Explanation} explanation=${answer.explanation} onPod=${onPod} onNode=${onNode} />`}
        ${answer && !answer.running && !answer.explanation && html`<p class="empty">There is nothing to explain: no demand on k40s.</p>`}
        ${asked && html`<p class="asked">asked <${Since} at=${asked} /> ago <button type="button" class="quiet" onClick=${() => this.ask()}>Ask again</button></p>`}
      </div>`;
  }
}
