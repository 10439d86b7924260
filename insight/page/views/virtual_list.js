// A list of any length of which only the rows in sight exist, with one Tab stop and arrow keys.
import { Component, Pure, html } from "../html.js";

/** Rows beyond the edges that exist as well, in px. */
const MARGIN = 200;

/**
 * Properties: `items`; `keyOf(item)`; `heightOf(item)` in px, the same for all if it is a number;
 * `draw(item, tab)` the row's content, in it one button with `data-open` and `tabindex=tab`;
 * `onOpen(item)` for that button and for a click on the row; `label`; `empty` as text.
 */
export class VirtualList extends Component {
  constructor(props) {
    super(props);
    this.state = { top: 0, height: 600, active: null };
    this.onScroll = () => this.measure();
    this.onKey = (event) => this.key(event);
    this.onClick = (event) => this.click(event);
    this.onFocus = (event) => this.focus(event);
    this.hold = (element) => { this.scroll = element; };
  }

  componentDidMount() {
    this.observer = new ResizeObserver(() => this.measure());
    this.observer.observe(this.scroll);
    this.measure();
  }

  componentWillUnmount() {
    this.observer.disconnect();
  }

  componentDidUpdate() {
    if (!this.wanted) return;
    const button = this.scroll.querySelector(`[data-key="${CSS.escape(this.wanted)}"] [data-open]`);
    if (button) {
      this.wanted = null;
      button.focus({ preventScroll: true });
    }
  }

  measure() {
    const { scrollTop: top, clientHeight: height } = this.scroll;
    if (Math.abs(top - this.state.top) > MARGIN / 4 || height !== this.state.height) this.setState({ top, height });
  }

  /** Where each row begins, and in the end where the last one ends. */
  offsets() {
    const { items, heightOf } = this.props;
    if (this.measured === items && this.measuredBy === heightOf) return this.begins;
    let at = 0;
    this.begins = [0, ...items.map((item) => (at += typeof heightOf === "number" ? heightOf : heightOf(item)))];
    this.measured = items;
    this.measuredBy = heightOf;
    return this.begins;
  }

  row(target) {
    return target.closest?.("[data-key]");
  }

  index() {
    const { items, keyOf } = this.props;
    const found = items.findIndex((item) => keyOf(item) === this.state.active);
    return found < 0 ? 0 : found;
  }

  focus(event) {
    const key = this.row(event.target)?.dataset.key;
    if (key !== undefined && key !== this.state.active) this.setState({ active: key });
  }

  click(event) {
    const { items, keyOf, onOpen } = this.props;
    if (event.target.closest("button:not([data-open])")) return;
    const row = this.row(event.target);
    const item = items.find((one) => keyOf(one) === row?.dataset.key);
    if (!item) return;
    row.querySelector("[data-open]").focus({ preventScroll: true }); // the focus comes back to it
    onOpen(item);
  }

  key(event) {
    const { items } = this.props;
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || !event.target.closest("[data-open]")) return;
    const index = this.index();
    const steps = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: items.length - 1, PageDown: index + this.page(), PageUp: index - this.page() };
    if (!(event.key in steps)) return;
    this.go(steps[event.key]);
    event.preventDefault();
  }

  page() {
    const average = this.offsets().at(-1) / this.props.items.length;
    return Math.max(1, Math.floor(this.state.height / average) - 1);
  }

  go(index) {
    const { items, keyOf } = this.props;
    const to = Math.min(items.length - 1, Math.max(0, index));
    const begins = this.offsets();
    if (begins[to] < this.scroll.scrollTop) this.scroll.scrollTop = begins[to];
    const under = begins[to + 1] - this.scroll.clientHeight;
    if (under > this.scroll.scrollTop) this.scroll.scrollTop = under;
    this.wanted = keyOf(items[to]);
    const { scrollTop: top, clientHeight: height } = this.scroll;
    this.setState({ active: this.wanted, top, height });
  }

  render({ items, keyOf, draw, label, empty }, { top, height }) {
    const begins = this.offsets();
    const last = items.length - 1;
    const first = Math.max(0, Math.min(last, search(begins, top - MARGIN)));
    const end = Math.min(last, search(begins, top + height + MARGIN));
    const stop = this.index();
    const shown = [];
    for (let index = first; index <= end; index += 1) {
      const item = items[index];
      const key = keyOf(item);
      shown.push(html`<${Row} key=${key} name=${key} item=${item} draw=${draw} begin=${begins[index]}
        height=${begins[index + 1] - begins[index]} position=${index + 1} size=${items.length}
        stop=${index === stop} />`);
    }
    if (items.length && (stop < first || stop > end)) {
      const key = keyOf(items[stop]); // stays in the document: it may have the focus
      shown.push(html`<${Row} key=${key} name=${key} item=${items[stop]} draw=${draw} begin=${begins[stop]}
        height=${begins[stop + 1] - begins[stop]} position=${stop + 1} size=${items.length} stop=${true} />`);
    }
    return html`
      <div class="scroll" onScroll=${this.onScroll} ref=${this.hold}>
        ${items.length === 0 && html`<p class="empty">${empty}</p>`}
        <div class="rows" role="list" aria-label=${label} style=${{ height: `${begins.at(-1)}px` }}
          onKeyDown=${this.onKey} onClick=${this.onClick} onFocusIn=${this.onFocus}>${shown}</div>
      </div>`;
  }
}

/** The last index whose begin is not beyond a place. */
function search(begins, place) {
  let low = 0;
  let high = begins.length - 2;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (begins[middle] <= place) low = middle;
    else high = middle - 1;
  }
  return Math.max(0, low);
}

class Row extends Pure {
  render({ name, item, draw, begin, height, position, size, stop }) {
    return html`
      <div class="row" role="listitem" data-key=${name}
        aria-posinset=${position} aria-setsize=${size}
        style=${{ transform: `translateY(${begin}px)`, height: `${height}px` }}>${draw(item, stop ? 0 : -1)}</div>`;
  }
}
