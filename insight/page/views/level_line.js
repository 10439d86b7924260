// A node's level and its parts since the page was opened, as small lines: hardware, software above
// it, and the level, of which the rest is the state.
import { Component, html } from "../html.js";

const WIDTH = 120;
const HEIGHT = 30;
/** The width is at least so many ms: the line grows into it from the left. */
const SPAN = 60_000;

/** Level → y; 20 is at the top, with a pixel of air. */
const y = (level) => (1 + (HEIGHT - 2) * (1 - level / 20)).toFixed(1);

/** A path of steps through points; gaps where the value is null. */
function steps(points, x, now, valueOf) {
  let path = "";
  points.forEach((point, index) => {
    const value = valueOf(point);
    if (value === null) return;
    const before = index ? valueOf(points[index - 1]) : null;
    const until = points[index + 1]?.at ?? now;
    path += `${before === null ? "M" : "L"}${x(point.at)} ${y(value)}H${x(until)}`;
  });
  return path;
}

/** Drawn again when the node changes, and each 15 s because time passes. */
export class LevelLine extends Component {
  componentDidMount() {
    this.timer = setInterval(() => this.forceUpdate(), 15_000);
  }

  componentWillUnmount() {
    clearInterval(this.timer);
  }

  shouldComponentUpdate({ name, history }) {
    return history.points(name) !== this.drawn;
  }

  render({ name, history }) {
    const points = history.points(name);
    this.drawn = points;
    const now = history.clock();
    const span = Math.max(SPAN, now - history.began);
    const x = (at) => (3 + ((at - history.began) / span) * (WIDTH - 6)).toFixed(1);
    const last = points.at(-1);
    const levels = points.map((point) => point.level ?? 0);
    const said = `level since this page was opened: between ${Math.min(...levels)} and ${Math.max(...levels)}, ${points.length - 1} changes`;
    return html`
      <svg class="line" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label=${said} preserveAspectRatio="none">
        <path class="need" d=${`M0 ${y(14)}H${WIDTH}M0 ${y(7)}H${WIDTH}`} />
        <path class="part" d=${steps(points, x, now, (point) => point.hardware)} />
        <path class="part" d=${steps(points, x, now, (point) => (point.hardware === null ? null : point.hardware + point.software))} />
        <path class="without" d=${steps(points, x, now, (point) => (point.level === null ? null : point.level + point.reduced))} />
        <path class="is" d=${steps(points, x, now, (point) => point.level)} />
        ${last?.level != null && html`<path class="end" d=${`M${x(now)} ${y(last.level)}h.01`} />`}
      </svg>`;
  }
}
