// Many cases at once: marks in the queue, a bar that says what would happen, one way back.

import { announce, byId, make } from "./dom.js";
import { moveMany, ServiceError, undoMoves } from "./service.js";
import { BEFORE_DISPATCH } from "./store.js";
import { number, placeOf, t } from "./texts.js";

/** @typedef {import("./types.js").Case} Case */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {{name: string, fits: (one: Case) => boolean, into?: string}} Step one kind of move for those marked that fit */

/** As many as the service takes in one request. */
const MOST = 500;
const UNDER_WAY = new Set(["dispatched", "handling", "returned"]);

export class Bulk {
  /** @type {Set<string>} */
  #marked = new Set();
  /** Where a range begins. @type {string|null} */
  #anchor = null;
  /** @type {{text: string, isFault: boolean, faults: string[]}|null} */
  #note = null;
  /** @type {{tokens: string[], until: number, text: string}|null} */
  #undo = null;
  /** @type {ReturnType<typeof setInterval>|undefined} */
  #ticking;
  #busy = false;
  #bar = byId("bulk");
  #store;
  #on;

  /**
   * @param {Store} store
   * @param {{changed: () => void, after: () => void}} on `changed` when other rows are marked, `after` when moves were made
   */
  constructor(store, on) {
    this.#store = store;
    this.#on = on;
  }

  get size() {
    return this.#marked.size;
  }

  /** @param {string} ref */
  has(ref) {
    return this.#marked.has(ref);
  }

  /** @param {string} ref */
  toggle(ref) {
    if (!this.#marked.delete(ref)) this.#marked.add(ref);
    this.#anchor = ref;
    this.#changed();
  }

  /**
   * Mark from the last marked row to this one, in the order of the queue.
   * @param {string} ref
   */
  extendTo(ref) {
    const shown = this.#store.visible().map((one) => one.case);
    const from = this.#anchor === null ? -1 : shown.indexOf(this.#anchor);
    const to = shown.indexOf(ref);
    if (from < 0 || to < 0) this.#marked.add(ref);
    else for (const one of shown.slice(Math.min(from, to), Math.max(from, to) + 1)) this.#marked.add(one);
    this.#anchor = ref;
    this.#changed();
  }

  /** @param {Iterable<string>} refs */
  mark(refs) {
    for (const ref of refs) this.#marked.add(ref);
    this.#changed();
  }

  /** @returns {boolean} whether anything was marked */
  clear() {
    if (!this.#marked.size && !this.#note) return false;
    this.#marked.clear();
    this.#note = null;
    this.#changed();
    return true;
  }

  /** Those that ended meanwhile are no longer marked. */
  refresh() {
    const before = this.#marked.size;
    for (const ref of this.#marked) if (!this.#store.get(ref)) this.#marked.delete(ref);
    if (this.#marked.size !== before) this.#changed();
  }

  /** Take the last moves back, while the service still allows it. */
  async undo() {
    const undo = this.#undo;
    if (!undo || this.#busy) return;
    this.#forgetUndo();
    try {
      const results = (await Promise.all(undo.tokens.map(undoMoves))).flatMap((answer) => answer.results);
      const done = results.filter((one) => one.status === 200).length;
      this.#say(t("console.bulk.undone", { count: number(done) }), results.filter((one) => one.status !== 200));
      this.#on.after();
    } catch (fault) {
      this.#say(fault instanceof Error ? fault.message : "", [], true);
    }
    this.#render();
  }

  #changed() {
    this.#on.changed();
    this.#render();
  }

  /** @returns {Case[]} */
  #cases() {
    return [...this.#marked].flatMap((ref) => this.#store.get(ref) ?? []).slice(0, MOST);
  }

  /**
   * Make moves on those marked that fit; the rest stays marked.
   * @param {string} name what the bar calls it
   * @param {Step[]} steps
   */
  async #make(name, steps) {
    if (this.#busy) return;
    this.#busy = true;
    this.#forgetUndo();
    this.#render();
    const marked = this.#cases();
    /** @type {import("./types.js").Outcome[]} */
    const results = [];
    /** @type {string[]} */
    const tokens = [];
    let until = Infinity;
    try {
      for (const step of steps) {
        const cases = marked.filter(step.fits).map((one) => ({ case: one.case, version: one.version }));
        if (!cases.length) continue;
        const answer = await moveMany({ move: step.name, cases, ...(step.into ? { into: step.into } : {}) });
        results.push(...answer.results);
        if (answer.undo && answer.undo_until) {
          tokens.push(answer.undo);
          until = Math.min(until, Date.parse(answer.undo_until));
        }
      }
      const done = results.filter((one) => one.status === 200);
      for (const one of done) this.#marked.delete(one.case);
      const text = t("console.bulk.done", { move: name, count: number(done.length) });
      this.#say(text, results.filter((one) => one.status !== 200));
      if (tokens.length) this.#offerUndo({ tokens, until, text });
      this.#on.after();
    } catch (fault) {
      this.#say(fault instanceof ServiceError ? fault.message : String(fault), [], true);
    } finally {
      this.#busy = false;
      this.#changed();
    }
  }

  /** @param {{tokens: string[], until: number, text: string}} undo */
  #offerUndo(undo) {
    this.#undo = undo;
    this.#ticking = setInterval(() => {
      if (Date.now() >= undo.until) this.#forgetUndo();
      this.#render();
    }, 1000);
  }

  #forgetUndo() {
    clearInterval(this.#ticking);
    this.#undo = null;
  }

  /**
   * @param {string} text
   * @param {import("./types.js").Outcome[]} refused
   * @param {boolean} [isFault]
   */
  #say(text, refused, isFault = false) {
    const faults = refused.map((one) => `#${one.case} ${one.detail ?? ""}`);
    this.#note = { text: faults.length ? t("console.bulk.partly", { text, count: number(faults.length) }) : text, isFault, faults };
    announce(this.#note.text);
  }

  /** Everything marked as a table that spreadsheets open: in their own order, nothing in it can be a formula. */
  #export() {
    const head = ["case", "ticket", "category", "text", "place", "status", "reported_at", "due_at"].map((key) => t(`console.bulk.column.${key}`));
    const rows = this.#cases().map((one) => [
      one.case, one.ticket, `${one.category.code} ${one.category.name}`, one.text, placeOf(one), t(`state.${one.status}`), one.reported_at, one.due_at ?? "",
    ]);
    const cell = (/** @type {string} */ text) => `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
    const table = [head, ...rows].map((row) => row.map(cell).join(",")).join("\r\n");
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([`\ufeff${table}\r\n`], { type: "text/csv" }));
    link.download = "gridward-cases.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  #render() {
    const isShown = this.#marked.size > 0 || this.#note !== null || this.#undo !== null;
    this.#bar.hidden = !isShown;
    if (!isShown) return;
    const focused = document.activeElement instanceof HTMLElement && this.#bar.contains(document.activeElement) ? document.activeElement.dataset.act : null;
    /** @type {HTMLElement[]} */
    const parts = [];
    if (this.#note) {
      const line = make("div", this.#note.isFault ? "bulk-note fault" : "bulk-note");
      line.append(make("span", "", this.#note.text));
      if (this.#undo) {
        const seconds = Math.max(0, Math.ceil((this.#undo.until - Date.now()) / 1000));
        line.append(this.#button("undo", t("console.bulk.undo", { seconds }), () => void this.undo()));
      }
      parts.push(line);
      if (this.#note.faults.length) {
        const list = make("ul", "bulk-faults");
        for (const fault of this.#note.faults.slice(0, 20)) list.append(make("li", "", fault));
        parts.push(list);
      }
    }
    if (this.#marked.size) parts.push(this.#choices());
    this.#bar.replaceChildren(...parts);
    if (focused) /** @type {HTMLElement|null} */ (this.#bar.querySelector(`[data-act="${focused}"]`) ?? byId("list"))?.focus();
  }

  #choices() {
    const cases = this.#cases();
    const row = make("div", "bulk-row");
    row.append(make("strong", "", t("console.bulk.marked", { count: number(this.#marked.size) })));
    const offer = (/** @type {string} */ act, /** @type {string} */ name, /** @type {Step[]} */ steps) => {
      const count = cases.filter((one) => steps.some((step) => step.fits(one))).length;
      if (count) row.append(this.#button(act, t("console.bulk.do", { move: name, count: number(count) }), () => void this.#make(name, steps)));
    };
    offer("accept", t("move.accept"), [{ name: "accept", fits: (one) => one.status === "reported" }]);
    offer("dispatch", t("move.dispatch"), [
      { name: "dispatch", fits: (one) => BEFORE_DISPATCH.has(one.status) && one.chain.length > 0 },
      { name: "re_dispatch", fits: (one) => one.status === "returned" },
    ]);
    offer("urge", t("move.urge"), [{ name: "urge", fits: (one) => UNDER_WAY.has(one.status) }]);
    offer("close", t("move.close"), [{ name: "close", fits: (one) => one.status === "handled" || one.status === "checked" }]);
    const into = [...cases].sort((a, b) => (a.reported_at < b.reported_at ? -1 : 1))[0];
    if (into && cases.length > 1) {
      const name = t("console.bulk.merge_into", { case: into.case });
      offer("merge", name, [{ name: "merge", into: into.case, fits: (one) => one.case !== into.case && BEFORE_DISPATCH.has(one.status) }]);
    }
    row.append(this.#button("export", t("console.bulk.export"), () => this.#export()));
    row.append(this.#button("clear", t("console.bulk.clear"), () => void this.clear()));
    return row;
  }

  /**
   * @param {string} act
   * @param {string} text
   * @param {() => void} press
   */
  #button(act, text, press) {
    const button = make("button", act === "clear" ? "link" : "button button-small", text);
    button.type = "button";
    button.dataset.act = act;
    button.disabled = this.#busy;
    button.addEventListener("click", press);
    return button;
  }
}
