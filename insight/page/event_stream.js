// Server-sent events from a fetch. EventSource tells neither a 401 nor the comment lines
// by which a quiet connection proves that it is alive.

/** Splits text into events as it arrives; `onEvent(name, data)` for each complete one. */
export class EventParser {
  constructor(onEvent) {
    this.onEvent = onEvent;
    this.rest = "";
    this.name = "";
    this.data = [];
  }

  push(text) {
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop();
    for (const line of lines) this.line(line);
  }

  line(line) {
    if (line === "") {
      if (this.data.length) this.onEvent(this.name || "message", this.data.join("\n"));
      this.name = "";
      this.data = [];
      return;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.name = value;
    if (field === "data") this.data.push(value);
  }
}

/** An HTTP answer that is not the expected one. `status` is 0 where there was no answer. */
export class AnswerError extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

/** The sentence of an error's body, or what can be said without one. */
export async function failure(response) {
  let text = `the server answered ${response.status}`;
  try {
    const body = await response.json();
    if (typeof body.error === "string") text = body.error;
  } catch {
    // Not JSON, such as a proxy's page: the status has to do.
  }
  return new AnswerError(response.status, text);
}

/**
 * Reads a stream until it ends, which is an error as well: it should not.
 * `onBytes()` is called for all that arrives, `onEvent(name, data)` for each event.
 */
export async function readEvents(address, { signal, onBytes, onEvent }) {
  const response = await fetch(address, {
    signal,
    cache: "no-store",
    credentials: "same-origin",
    headers: { Accept: "text/event-stream" },
  });
  if (!response.ok) throw await failure(response);
  const parser = new EventParser(onEvent);
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new AnswerError(0, "the server closed the connection");
    onBytes();
    parser.push(decoder.decode(value, { stream: true }));
  }
}
