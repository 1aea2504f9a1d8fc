// Many cases at once: marks in the queue and on the map, a look at what would come of it, one way back.

import { exportPreview, movePreview } from "./bulk_preview.js";
import { announce, byId, make } from "./dom.js";
import { moveMany, ServiceError, undoMoves } from "./service.js";
import { BEFORE_DISPATCH } from "./store.js";
import { number, placeOf, t } from "./texts.js";

/** @typedef {import("./types.js").Case} Case */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {{name: string, fits: (one: Case) => boolean, into?: string}} Step one kind of move for those marked that fit */
/** @typedef {{case: string, version: number}} Seen */
/** @typedef {{step: Step, cases: Seen[]}} Part */
/**
 * What is shown before it is done.
 * @typedef {{name: string, count: number, lines: () => HTMLElement[], run: () => void}} Preview
 */

/** As many as the service takes in one request. */
const MOST = 500;
const FADE_MS = 6000;
/** @type {Record<string, string>} */
const LOOKS = { clear: "link", back: "link", confirm: "button button-small button-primary" };
const UNDER_WAY = new Set(["dispatched", "handling", "returned"]);

export class Bulk {
  /** @type {Set<string>} */
  #marked = new Set();
  /** Where a range begins. @type {string|null} */
  #anchor = null;
  /** `fades`: gone with the undo beside it. @type {{text: string, isFault: boolean, faults: string[], fades?: boolean}|null} */
  #note = null;
  /** @type {{tokens: string[], until: number, text: string}|null} */
  #undo = null;
  /** @type {ReturnType<typeof setInterval>|undefined} */
  #ticking;
  /** @type {Preview|null} */
  #preview = null;
  /** What the bar offers for those marked, by what the keys call it. @type {Map<string, () => void>} */
  #offers = new Map();
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
    if (this.#preview) {
      this.#preview = null;
      this.#render();
      byId("list").focus({ preventScroll: true });
      return true;
    }
    if (!this.#marked.size && (!this.#note || this.#note.fades)) return false;
    this.#marked.clear();
    this.#note = null;
    this.#changed();
    return true;
  }

  /**
   * Begin by key what the bar offers.
   * @param {string} act
   * @returns {boolean} whether it is for the bar: something is marked, and the move is one of many
   */
  press(act) {
    if (!this.#marked.size) return false;
    this.#offers.get(act)?.();
    return this.#offers.has(act);
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
    const wasOne = this.#note?.fades === true;
    this.#forgetUndo();
    try {
      const results = (await Promise.all(undo.tokens.map(undoMoves))).flatMap((answer) => answer.results);
      const done = results.filter((one) => one.status === 200).length;
      this.#say(t("console.bulk.undone", { count: number(done) }), results.filter((one) => one.status !== 200));
      this.#on.after();
    } catch (fault) {
      this.#say(fault instanceof Error ? fault.message : "", [], true);
    }
    if (wasOne) this.#fade();
    this.#render();
  }

  /** What was said of a single case goes by itself: it must not stand between Escape and the panel. */
  #fade() {
    const note = this.#note;
    if (note) note.fades = true;
    setTimeout(() => {
      if (this.#note !== note) return;
      this.#note = null;
      this.#render();
    }, FADE_MS);
  }

  #changed() {
    // What was looked at was for others.
    this.#preview = null;
    this.#on.changed();
    this.#render();
  }

  /** @returns {Case[]} */
  #cases() {
    return [...this.#marked].flatMap((ref) => this.#store.get(ref) ?? []).slice(0, MOST);
  }

  /**
   * Ask what would come of it, and show that before anything is done.
   * @param {string} name what the bar calls it
   * @param {Step[]} steps
   */
  async #foresee(name, steps) {
    if (this.#busy) return;
    this.#busy = true;
    this.#note = null;
    this.#render();
    const marked = this.#cases();
    /** @type {Part[]} */
    const parts = [];
    /** @type {import("./types.js").Outcome[]} */
    const results = [];
    try {
      for (const step of steps) {
        const cases = marked.filter(step.fits).map((one) => ({ case: one.case, version: one.version }));
        if (!cases.length) continue;
        const answer = await moveMany({ move: step.name, cases, dry_run: true, ...(step.into ? { into: step.into } : {}) });
        results.push(...answer.results);
        const possible = new Set(answer.results.filter((one) => one.status === 200).map((one) => one.case));
        parts.push({ step, cases: cases.filter((one) => possible.has(one.case)) });
      }
      const count = parts.reduce((sum, part) => sum + part.cases.length, 0);
      this.#show({ name, count, lines: () => movePreview(results, new Date()), run: () => void this.#make(name, parts) });
    } catch (fault) {
      this.#say(fault instanceof Error ? fault.message : String(fault), [], true);
    } finally {
      this.#busy = false;
      this.#render();
      this.#focusPreview();
    }
  }

  /** @param {Preview} preview */
  #show(preview) {
    this.#preview = preview;
    announce(t("console.bulk.preview", { move: preview.name, count: number(preview.count) }));
  }

  #focusPreview() {
    const first = this.#bar.querySelector("[data-act=confirm], [data-act=back]");
    if (this.#preview && first instanceof HTMLElement) first.focus();
  }

  /**
   * Make the moves that were looked at, on the versions that were looked at; what is refused stays marked.
   * @param {string} name what the bar calls it
   * @param {Part[]} parts
   */
  async #make(name, parts) {
    if (this.#busy) return;
    this.#busy = true;
    this.#preview = null;
    this.#forgetUndo();
    this.#render();
    /** @type {import("./types.js").Outcome[]} */
    const results = [];
    /** @type {string[]} */
    const tokens = [];
    let until = Infinity;
    try {
      for (const { step, cases } of parts) {
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
      byId("list").focus({ preventScroll: true });
    }
  }

  /**
   * Offer to take back what was made on a single case.
   * @param {string} text
   * @param {string} token
   * @param {string} until
   */
  offerOne(text, token, until) {
    this.#forgetUndo();
    this.#note = { text, isFault: false, faults: [], fades: true };
    this.#offerUndo({ tokens: [token], until: Date.parse(until), text });
    this.#render();
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
    if (this.#note?.fades) this.#note = null;
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

  /** @returns {string[][]} everything marked, with a head */
  #table() {
    const head = ["case", "ticket", "category", "text", "place", "status", "reported_at", "due_at"].map((key) => t(`console.bulk.column.${key}`));
    const rows = this.#cases().map((one) => [
      one.case, one.ticket, `${one.category.code} ${one.category.name}`, one.text, placeOf(one), t(`state.${one.status}`), one.reported_at, one.due_at ?? "",
    ]);
    return [head, ...rows];
  }

  /** As a file that spreadsheets open: nothing in it can be a formula. */
  #export() {
    const cell = (/** @type {string} */ text) => `"${(/^[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
    const rows = this.#table();
    const table = rows.map((row) => row.map(cell).join(",")).join("\r\n");
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([`\ufeff${table}\r\n`], { type: "text/csv" }));
    link.download = "gridward-cases.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    this.#preview = null;
    this.#say(t("console.bulk.done", { move: t("console.bulk.export"), count: number(rows.length - 1) }), []);
    this.#render();
    byId("list").focus({ preventScroll: true });
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
    this.#offers.clear();
    if (this.#preview) parts.push(...this.#previewParts(this.#preview));
    else if (this.#marked.size) parts.push(this.#choices());
    this.#bar.replaceChildren(...parts);
    if (focused) /** @type {HTMLElement|null} */ (this.#bar.querySelector(`[data-act="${focused}"]`) ?? byId("list"))?.focus();
  }

  /** @param {Preview} preview */
  #previewParts(preview) {
    const head = make("strong", "", t("console.bulk.preview", { move: preview.name, count: number(preview.count) }));
    const row = make("div", "bulk-row");
    if (preview.count) row.append(this.#button("confirm", t("console.bulk.confirm", { move: preview.name, count: number(preview.count) }), preview.run));
    row.append(this.#button("back", t("console.bulk.back"), () => void this.clear()));
    return [head, ...preview.lines(), row];
  }

  #choices() {
    const cases = this.#cases();
    const row = make("div", "bulk-row");
    row.append(make("strong", "", t("console.bulk.marked", { count: number(this.#marked.size) })));
    const offer = (/** @type {string} */ act, /** @type {string} */ name, /** @type {Step[]} */ steps) => {
      const count = cases.filter((one) => steps.some((step) => step.fits(one))).length;
      if (!count) return;
      const begin = () => void this.#foresee(name, steps);
      this.#offers.set(act, begin);
      row.append(this.#button(act, t("console.bulk.do", { move: name, count: number(count) }), begin));
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
    const look = () => {
      const [head = [], ...rows] = this.#table();
      this.#show({ name: t("console.bulk.export"), count: rows.length, lines: () => exportPreview(head, rows), run: () => this.#export() });
      this.#render();
      this.#focusPreview();
    };
    row.append(this.#button("export", t("console.bulk.export"), look));
    row.append(this.#button("clear", t("console.bulk.clear"), () => void this.clear()));
    return row;
  }

  /**
   * @param {string} act
   * @param {string} text
   * @param {() => void} press
   */
  #button(act, text, press) {
    const button = make("button", LOOKS[act] ?? "button button-small", text);
    button.type = "button";
    button.dataset.act = act;
    button.disabled = this.#busy;
    button.addEventListener("click", press);
    return button;
  }
}
