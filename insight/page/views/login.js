// The first screen of a reader without a session.
import { Component, html } from "../html.js";

export class Login extends Component {
  constructor(props) {
    super(props);
    this.state = { busy: false };
    this.submit = (event) => this.send(event);
  }

  componentDidMount() {
    this.field.focus();
  }

  async send(event) {
    event.preventDefault();
    const token = this.field.value.trim();
    if (!token || this.state.busy) return;
    this.setState({ busy: true });
    await this.props.store.login(token);
    if (!this.field) return;
    this.field.value = "";
    this.setState({ busy: false });
    this.field.focus();
  }

  render({ refusal }, { busy }) {
    return html`
      <main class="login">
        <form onSubmit=${this.submit}>
          <h1><img src="static/icon.svg" alt="" width="32" height="32" /> k40s</h1>
          <p>See what nodes and pods do, and why a pod does not run. You see the namespaces in which you may read pods.</p>
          <label for="token">Kubernetes token</label>
          <input id="token" type="password" autocomplete="off" spellcheck="false" required
            aria-describedby="where refusal" aria-invalid=${refusal ? "true" : null}
            ref=${(field) => { this.field = field; }} />
          <p id="refusal" class="refusal" role="alert">${refusal}</p>
          <button type="submit" class="main" disabled=${busy}>${busy ? "Asking …" : "Log in"}</button>
          <div id="where">
            <p>A token comes from your cluster, such as</p>
            <pre>kubectl create token NAME -n NAMESPACE</pre>
            <p>for a ServiceAccount of yours. The server keeps it out of this page's reach, and asks your cluster whom it belongs to.</p>
          </div>
        </form>
      </main>`;
  }
}
