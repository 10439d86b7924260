// Keeps one stream open: tries again with growing pauses, and gives a silent one up.
import { AnswerError, readEvents } from "./event_stream.js";

/** The server sends a comment each 15 s; after this many ms without a byte the stream is dead. */
const SILENCE = 20_000;
const PAUSES = [500, 1000, 2000, 4000, 8000, 15_000];

/**
 * Handlers: `overview(value)`, `broken(cause, pause, heard)` and `refused(status, cause)`.
 * A refusal (401, 403) ends it: only a person can help.
 */
export class Connection {
  constructor(handlers) {
    this.handlers = handlers;
    this.failures = 0;
    this.closed = false;
    this.open();
  }

  /** Opens the one stream; another that is open or on its way ends. */
  async open() {
    this.abort?.abort();
    const abort = new AbortController();
    this.abort = abort;
    this.silent = false;
    this.watch();
    try {
      await readEvents("v1/stream", {
        signal: abort.signal,
        onBytes: () => this.hear(),
        onEvent: (name, data) => this.event(name, data),
      });
    } catch (error) {
      if (this.closed || this.abort !== abort) return;
      clearTimeout(this.watchdog);
      this.abort.abort();
      if (error.status === 401 || error.status === 403) this.handlers.refused(error.status, error.message);
      else this.again(error);
    }
  }

  event(name, data) {
    if (name !== "overview") return;
    try {
      this.handlers.overview(JSON.parse(data));
    } catch (error) {
      console.error(error);
      throw new AnswerError(0, "the server sent what this page does not understand");
    }
    this.failures = 0;
  }

  /** A byte proves that what was told last still holds. */
  hear() {
    this.heard = performance.now();
    this.watch();
  }

  watch() {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => {
      this.silent = true;
      this.abort.abort();
    }, SILENCE);
  }

  again(error) {
    const cause = this.silent ? "nothing arrived for 20 s" : "status" in error ? error.message : "the server cannot be reached";
    const pause = PAUSES[Math.min(this.failures, PAUSES.length - 1)];
    this.failures += 1;
    this.handlers.broken(cause, pause, this.heard);
    this.timer = setTimeout(() => this.open(), pause);
  }

  /** Try at once instead of at the end of the pause. */
  hurry() {
    clearTimeout(this.timer);
    this.open();
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    clearTimeout(this.watchdog);
    this.abort.abort();
  }
}
