// Filling the queue and following what happens: the list page by page, then the stream, and the line that says whether it is up.

import { announce, byId, setText } from "./dom.js";
import { showListState } from "./list_state.js";
import { Live } from "./live.js";
import { listOpenCases, ServiceError } from "./service.js";
import { clock, t } from "./texts.js";

/** @typedef {import("./types.js").Case} Case */

/** Events of one frame are shown together: a burst costs one update. Units: milliseconds. */
const FRAME = 16;
/** A hiccup heals by itself; a bar for it would only teach people to ignore the bar. Units: seconds. */
const HICCUP = 2;

export class Following {
  #store;
  #on;
  #isLoaded = false;
  /** @type {string|null} */
  #fault = null;
  /** @type {Map<string, Case>} */
  #burst = new Map();
  /** @type {Set<string>} */
  #arriving = new Set();
  #isWaiting = false;
  #live;
  #lastSecond = Date.now();
  /**
   * Called by whoever begins to read the first list: the stream when it opens, or the clock when it does not.
   * @type {(filling: Promise<void>|null) => void}
   */
  #firstTry = () => undefined;
  /** Settles when the first list has been read. @type {Promise<void>} */
  filled = new Promise((resolve) => {
    this.#firstTry = (filling) => {
      this.#firstTry = () => undefined;
      void (filling ?? this.fill()).then(resolve);
    };
  });

  /**
   * @param {import("./store.js").Store} store
   * @param {{filled: () => void, bar: () => void, clear: () => void}} on `bar` when the bar of the lost line comes or goes, `clear` to take filters off
   */
  constructor(store, on) {
    this.#store = store;
    this.#on = on;
    this.#live = new Live({
      event: (one) => this.#take(one),
      up: (again) => {
        this.#showLine();
        // The list is read after the stream has opened: what happens in between is in both, never in neither.
        const filling = this.fill();
        if (again) void filling.then(() => announce(t("console.live.back")));
        else this.#firstTry(filling);
      },
      down: () => {
        this.#showLine();
        this.#firstTry(null);
      },
    });
    byId("lost-retry").addEventListener("click", () => this.#live.connect());
    byId("live").dataset.state = "connecting";
    setText(byId("live-word"), t("console.live.connecting"));
    setText(byId("clock"), clock(new Date()));
    setInterval(() => this.#everySecond(), 1000);
    this.#live.connect();
    setTimeout(() => this.#firstTry(null), 1500);
  }

  /** @param {string} ref whether the change that is being told came over the stream */
  isArriving(ref) {
    return this.#arriving.has(ref);
  }

  sayListState() {
    showListState(this.#store, { isLoaded: this.#isLoaded, fault: this.#fault, retry: () => void this.fill(), clear: this.#on.clear });
  }

  /** Read every open case, page by page; also the way back after a gap. */
  async fill() {
    const store = this.#store;
    this.#fault = null;
    this.sayListState();
    const skeleton = setTimeout(() => byId("list").classList.toggle("is-loading", !this.#isLoaded), 300);
    const before = store.versions();
    try {
      const open = new Set();
      let cursor = null;
      do {
        const page = /** @type {Awaited<ReturnType<typeof listOpenCases>>} */ (await listOpenCases(cursor));
        store.asOf = new Date(page.as_of);
        for (const one of page.cases) open.add(one.case);
        this.#isLoaded = true;
        byId("list").classList.remove("is-loading");
        store.apply(page.cases);
        cursor = page.next;
      } while (cursor);
      store.keepOnly(open, before);
      this.#on.filled();
    } catch (fault) {
      const reason = fault instanceof ServiceError ? fault.message : String(fault);
      this.#fault = store.size ? t("console.queue.error_kept", { reason }) : reason;
    } finally {
      clearTimeout(skeleton);
      byId("list").classList.remove("is-loading");
      store.refresh();
    }
  }

  /** @param {Case} one as an event tells it */
  #take(one) {
    const waiting = this.#burst.get(one.case);
    if (!waiting || waiting.version < one.version) this.#burst.set(one.case, one);
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    // Not requestAnimationFrame: a tab in the background must stay up to date as well.
    setTimeout(() => {
      this.#isWaiting = false;
      const cases = [...this.#burst.values()];
      this.#burst = new Map();
      this.#arriving = new Set(cases.map((each) => each.case));
      this.#store.asOf = new Date();
      this.#store.apply(cases);
      this.#arriving = new Set();
    }, FRAME);
  }

  #everySecond() {
    const now = Date.now();
    setText(byId("clock"), clock(new Date(now)));
    if (this.#live.lostSince !== null) this.#showLine();
    // A computer that slept, or a tab that was frozen: the stream may look open and have lost its other end.
    if (now - this.#lastSecond > 20_000) this.#live.connect();
    this.#lastSecond = now;
  }

  #showLine() {
    const since = this.#live.lostSince;
    byId("live").dataset.state = since === null ? "on" : "off";
    setText(byId("live-word"), t(since === null ? "console.live.on" : "console.live.off"));
    const seconds = since === null ? 0 : Math.floor((Date.now() - since) / 1000);
    const bar = byId("lost");
    const isLost = since !== null && seconds >= HICCUP;
    if (bar.hidden === isLost) {
      bar.hidden = !isLost;
      this.#on.bar();
    }
    if (isLost) setText(byId("lost-text"), t("console.live.lost", { seconds, at: clock(this.#store.asOf ?? new Date(since)) }));
  }
}
