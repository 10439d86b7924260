// The frame: which screen, the header, what is wrong with the connection, the sections.
import { Component, Pure, html, pure } from "../html.js";
import { count } from "../format.js";
import { Age, Countdown } from "./clock.js";
import { Happenings } from "./happenings.js";
import { Login } from "./login.js";
import { Networks } from "./networks.js";
import { Nodes } from "./nodes.js";
import { Panel } from "./panel.js";
import { Pods } from "./pods.js";

const SECTIONS = [["nodes", "Nodes"], ["pods", "Pods"], ["networks", "Networks"], ["happenings", "Happenings"]];

export class App extends Component {
  constructor(props) {
    super(props);
    this.state = { ...props.store.state };
    this.choosePod = (pod) => this.choose({ kind: "pod", namespace: pod.namespace, name: pod.name });
    this.chooseNode = (name) => this.choose({ kind: "node", name });
    this.close = () => this.unchoose();
  }

  componentDidMount() {
    this.forget = this.props.store.subscribe((state) => this.setState(state));
    this.onKey = (event) => {
      if (event.key === "Escape" && this.state.chosen && !event.defaultPrevented) this.close();
    };
    document.addEventListener("keydown", this.onKey);
  }

  componentWillUnmount() {
    this.forget();
    document.removeEventListener("keydown", this.onKey);
  }

  choose(chosen) {
    if (!this.state.chosen) this.opener = document.activeElement;
    this.props.store.choose(chosen);
  }

  unchoose() {
    this.props.store.choose(null);
    const back = this.opener?.isConnected ? this.opener : document.querySelector("main [tabindex='0']");
    back?.focus();
  }

  render({ store }, { phase, overview, refusal, cause, retryAt, heard, current, chosen, view }) {
    if (phase === "login") return html`<${Login} store=${store} refusal=${refusal} />`;
    if (!overview) return html`<${Opening} cause=${cause} retryAt=${retryAt} store=${store} />`;
    const { nodes, pods, networks, happenings, unreadable } = overview;
    return html`
      <div class="frame" data-phase=${phase}>
        <${Header} store=${store} nodes=${nodes} pods=${pods} phase=${phase} heard=${heard} />
        ${phase === "stale" && html`<${Stale} cause=${cause} current=${current} retryAt=${retryAt} store=${store} />`}
        <${Unreadable} texts=${unreadable} />
        <nav class="tabs" aria-label="Sections">
          ${SECTIONS.map(([id, name]) => html`
            <button type="button" aria-current=${view === id ? "page" : null} onClick=${() => store.show(id)}>${name}</button>`)}
        </nav>
        <main class=${`sections show-${view}`}>
          <div class="column first">
            <${Nodes} nodes=${nodes} history=${store.history} onNode=${this.chooseNode} onPod=${this.choosePod} />
            <${Networks} networks=${networks} onPod=${this.choosePod} />
          </div>
          <div class="column second">
            <${Pods} pods=${pods} onPod=${this.choosePod} />
            <${Happenings} happenings=${happenings} onPod=${this.choosePod} onNode=${this.chooseNode} />
          </div>
        </main>
        ${chosen && html`<${Panel} chosen=${chosen} overview=${overview} store=${store} onClose=${this.close}
          onPod=${this.choosePod} onNode=${this.chooseNode} />`}
      </div>`;
  }
}

const Opening = pure(({ cause, retryAt, store }) => html`
  <div class="opening">
    <p role="status">${cause ? `Not connected: ${cause}.` : "Waiting for the first overview …"}</p>
    ${cause && html`<p><${Countdown} until=${retryAt} /> <button type="button" onClick=${() => store.hurry()}>Try now</button></p>`}
  </div>`);

const Stale = pure(({ cause, current, retryAt, store }) => html`
  <div class="banner stale">
    <p role="alert">Not live: ${cause}.</p>
    <span>What you see held <${Age} since=${current} /> ago.</span>
    <span><${Countdown} until=${retryAt} /></span>
    <button type="button" onClick=${() => store.hurry()}>Try now</button>
  </div>`);

const Unreadable = pure(({ texts }) => texts.length > 0 && html`
  <details class="banner unreadable">
    <summary>${count(texts.length, "thing", "things")} could not be read: what depends on them is missing here</summary>
    <ul>${texts.map((text) => html`<li key=${text}>${text}</li>`)}</ul>
  </details>`);

/** Counts that a person looks at first; those of trouble only where there is some. */
class Header extends Pure {
  render({ store, nodes, pods, phase, heard }) {
    const realTime = nodes.filter((node) => node.real_time).length;
    const troubled = nodes.filter((node) => !node.ready || node.level === null || node.reduced > 0).length;
    const of = (key, value) => pods.filter((pod) => pod[key] === value).length;
    return html`
      <header>
        <h1>k40s</h1>
        <dl class="counts">
          <${Count} name=${`nodes, ${realTime} real-time`} value=${nodes.length} />
          <${Count} name="in trouble" value=${troubled} kind="bad" />
          <${Count} name="HI" value=${of("criticality", "HI")} />
          <${Count} name="LOW" value=${of("criticality", "LOW")} />
          <${Count} name="NO" value=${of("criticality", "NO")} />
          <${Count} name="refused" value=${of("state", "refused")} kind="bad" />
          <${Count} name="throttled" value=${of("state", "throttled")} kind="warn" />
          <${Count} name="moving" value=${of("state", "moving")} kind="warn" />
        </dl>
        <p class="link" data-phase=${phase}>
          <span class="lamp" aria-hidden="true"></span>
          <span role="status">${phase === "live" ? "live" : "not live"}</span>
          <span class="since">changed <${Age} since=${heard} /> ago</span>
        </p>
        <button type="button" class="quiet" onClick=${() => store.logout()}>Log out</button>
      </header>`;
  }
}

const Count = pure(({ name, value, kind }) => html`
  <div class=${`count ${value && kind ? kind : ""}`} hidden=${Boolean(kind) && value === 0}>
    <dt>${name}</dt><dd>${value.toLocaleString("en")}</dd>
  </div>`);
