// Preact with htm: components as tagged templates, without a build step.
import { Component, Fragment, h, render } from "./vendor/preact.js";
import htm from "./vendor/htm.js";

export { Component, Fragment, render };
export const html = htm.bind(h);

/** Whether two property objects hold the same values, each compared by identity. */
function same(left, right) {
  const names = Object.keys(left);
  return names.length === Object.keys(right).length && names.every((name) => left[name] === right[name]);
}

/** A component that is drawn again only when one of its properties or its state is another value. */
export class Pure extends Component {
  shouldComponentUpdate(props, state) {
    return state !== this.state || !same(props, this.props);
  }
}

/** A function component as a Pure one. */
export function pure(draw) {
  return class extends Pure {
    render(props) {
      return draw(props);
    }
  };
}
