// What the page knows, and what a person can ask of it.
import { Connection } from "./connection.js";
import { failure } from "./event_stream.js";
import { follow } from "./server_time.js";
import { History } from "./history.js";
import { next } from "./sharing.js";

/**
 * state: `phase` is "opening", "login", "live" or "stale"; `overview` the last one, or null;
 * `heard` when it came and, of a broken connection, `current` until when it held (ms of
 * performance.now); `cause`, `retryAt` of a broken connection;
 * `refusal` of a token; `chosen` {kind: "pod"|"node", …}, or null; `view` the section on a phone.
 */
export class Store {
  constructor() {
    this.listeners = new Set();
    this.begun = false;
    this.history = new History(() => performance.now());
    this.state = { phase: "opening", overview: null, heard: 0, current: 0, cause: "", retryAt: 0, refusal: "", chosen: null, view: "nodes" };
  }

  subscribe(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  set(change) {
    this.state = { ...this.state, ...change };
    for (const listener of this.listeners) listener(this.state);
  }

  connect() {
    this.connection?.close();
    this.connection = new Connection({
      overview: (value) => this.received(value),
      broken: (...facts) => this.broken(...facts),
      refused: (status, cause) => this.refused(status, cause),
    });
  }

  received(value) {
    const overview = next(this.state.overview, value);
    follow(value.at);
    this.history.record(overview.nodes);
    this.set({ phase: "live", overview, heard: performance.now(), cause: "" });
  }

  broken(cause, pause, current) {
    const phase = this.state.overview ? "stale" : "opening";
    this.set({ phase, cause, current, retryAt: performance.now() + pause });
  }

  refused(status, cause) {
    const known = this.state.phase !== "opening" || this.begun;
    const why = status === 403 ? cause : known ? `The session has ended: ${cause}.` : "";
    this.set({ phase: "login", overview: null, chosen: null, refusal: why });
  }

  async login(token) {
    let response;
    try {
      response = await fetch("v1/session", { method: "POST", headers: { Authorization: `Bearer ${token}` } });
    } catch {
      this.set({ refusal: "The server cannot be reached." });
      return;
    }
    if (response.ok) {
      this.begun = true;
      this.set({ phase: "opening", refusal: "" });
      this.connect();
      return;
    }
    const error = await failure(response);
    this.set({ refusal: `Not accepted: ${error.message}.` });
  }

  async logout() {
    this.begun = false;
    this.connection?.close();
    this.set({ phase: "login", overview: null, chosen: null, refusal: "" });
    try {
      const response = await fetch("v1/session", { method: "DELETE" });
      if (!response.ok && response.status !== 401) throw await failure(response);
    } catch (error) {
      this.set({ refusal: `The session may still be open: ${error.message}` });
    }
  }

  /** The answer of the explanation of a pod: {explanation, running}. */
  async explain(namespace, name, signal) {
    const parts = [namespace, name].map(encodeURIComponent);
    const response = await fetch(`v1/namespaces/${parts[0]}/pods/${parts[1]}/explanation`, { signal, cache: "no-store" });
    if (!response.ok) throw await failure(response);
    return response.json();
  }

  choose(chosen) {
    this.set({ chosen });
  }

  show(view) {
    this.set({ view });
  }

  hurry() {
    this.connection.hurry();
  }
}
