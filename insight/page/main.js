// The entry: one store, one connection, one tree.
import { html, render } from "./html.js";
import { Store } from "./store.js";
import { App } from "./views/app.js";

const store = new Store();
const root = document.getElementById("page");
root.replaceChildren();
render(html`<${App} store=${store} />`, root);
store.connect();
