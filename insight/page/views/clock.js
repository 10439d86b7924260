// Texts that change with time alone: they redraw themselves, and nothing around them.
import { Component, html } from "../html.js";
import { age } from "../format.js";
import { now } from "../server_time.js";

const watchers = new Set();
setInterval(() => {
  for (const watcher of watchers) watcher();
}, 1000);

class Ticking extends Component {
  componentDidMount() {
    this.tick = () => {
      if (this.text(this.props) !== this.shown) this.forceUpdate();
    };
    watchers.add(this.tick);
  }

  componentWillUnmount() {
    watchers.delete(this.tick);
  }

  render(props) {
    this.shown = this.text(props);
    return html`<span class="figure">${this.shown}</span>`;
  }
}

/** How long ago something was, by performance.now in ms. */
export class Age extends Ticking {
  text({ since }) {
    return age((performance.now() - since) / 1000);
  }
}

/** When something is tried again, by performance.now in ms. */
export class Countdown extends Ticking {
  text({ until }) {
    const left = Math.ceil((until - performance.now()) / 1000);
    return left > 0 ? `Trying again in ${left} s.` : "Trying again …";
  }
}

/** How long ago an RFC 3339 time was, by the cluster's clock; empty where it is none. */
export class Since extends Ticking {
  text({ at }) {
    const time = Date.parse(at);
    return Number.isNaN(time) ? "" : age((now() - time) / 1000);
  }
}
