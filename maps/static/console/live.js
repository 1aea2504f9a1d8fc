// The event stream. Read with fetch instead of EventSource, because a dispatcher must be told of a dead line: an
// EventSource hides the server's heartbeats, so a cable pulled somewhere on the way would look like a quiet morning. It also
// would need the name of every event in advance, and could not resume with Last-Event-ID after closing itself.

import { context } from "./texts.js";

/** @typedef {import("./types.js").Case} Case */

/** The service sends a comment every 15 s; after this long without a byte the line counts as dead. */
const SILENCE_MS = 40_000;
const RETRY_MS = [500, 1000, 2000, 4000, 8000];

export class Live {
  /** @type {AbortController|null} */
  #abort = null;
  #cursor = "";
  #attempt = 0;
  #timer = 0;
  #lastByte = 0;
  /** @type {number|null} */
  lostSince = null;
  #on;

  /**
   * @param {{event: (one: Case) => void, up: (again: boolean) => void, down: () => void}} on
   *   `up(again)` is called when the stream is open; `again` says that it had been lost, so that the page catches up
   */
  constructor(on) {
    this.#on = on;
    setInterval(() => {
      if (this.#abort && this.#lastByte && Date.now() - this.#lastByte > SILENCE_MS) this.#abort.abort();
    }, 5000);
  }

  /** Connect, or connect again at once. */
  connect() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
    void this.#read();
  }

  async #read() {
    const abort = new AbortController();
    this.#abort = abort;
    this.#lastByte = Date.now();
    try {
      /** @type {Record<string, string>} */
      const headers = { Accept: "text/event-stream", "Accept-Language": context.locale };
      if (this.#cursor) headers["Last-Event-ID"] = this.#cursor;
      const response = await fetch(`${context.root}/v1/stream`, { headers, signal: abort.signal, credentials: "same-origin", cache: "no-store" });
      if (!response.ok || !response.body) throw new Error(`status ${response.status}`);
      const again = this.lostSince !== null;
      this.lostSince = null;
      this.#attempt = 0;
      this.#on.up(again);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        this.#lastByte = Date.now();
        const blocks = (rest + value).split(/\r?\n\r?\n/);
        rest = blocks.pop() ?? "";
        for (const block of blocks) this.#take(block);
      }
    } catch {
      // Whatever ended the stream (network, proxy, restart, silence): the same way back.
    }
    if (this.#abort !== abort) return; // connect() has already begun anew
    if (this.lostSince === null) this.lostSince = Date.now();
    this.#on.down();
    const wait = RETRY_MS[Math.min(this.#attempt, RETRY_MS.length - 1)] ?? 8000;
    this.#attempt += 1;
    // Many desks lose the same server at the same moment; they must not all come back in the same one.
    this.#timer = setTimeout(() => this.connect(), wait * (0.75 + Math.random() / 2));
  }

  /** @param {string} block the lines of one event */
  #take(block) {
    let data = "";
    for (const line of block.split(/\r?\n/)) {
      const colon = line.indexOf(":");
      if (colon === 0) continue; // a comment: the heartbeat
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "id") this.#cursor = value;
      else if (field === "data") data += (data && "\n") + value;
    }
    if (!data) return;
    try {
      const one = JSON.parse(data);
      if (one && typeof one.case === "string") this.#on.event(one);
    } catch {
      // Not one of ours: the next answer of the service repairs what it might have said.
    }
  }
}
