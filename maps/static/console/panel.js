// The case panel: everything about one case, and the moves that may be made now.

import { deadlinePart, headParts, placePart, responsiblePart, section, timelinePart } from "./case_parts.js";
import { announce, byId, make } from "./dom.js";
import { differences } from "./differences.js";
import { moveForm } from "./move_form.js";
import { asksFor, beginDraft, bodyOf, CHOOSING, moveButtons, UNDOABLE } from "./moves.js";
import { photoStrip } from "./photos.js";
import { PLACING_MOVES } from "./placing.js";
import { nearbyParts } from "./repeats.js";
import { reporterBox } from "./reporter.js";
import { getCase, getNearby, getOptions, getReporter, getSuggestion, listPhotos, makeMove, makeUndoable, ServiceError } from "./service.js";
import { BEFORE_DISPATCH } from "./store.js";
import { t } from "./texts.js";
import { Viewing } from "./viewing.js";

/** @typedef {import("./types.js").Case} Case */
/** @typedef {import("./types.js").CaseDetail} CaseDetail */
/** @typedef {import("./types.js").Nearby} Nearby */

export class Panel {
  #root = byId("panel");
  #on;
  /** @type {AbortController|null} */
  #abort = null;
  /** @type {Promise<void>} */
  #loading = Promise.resolve();
  /** What lies near, and the evidence. @type {Promise<void>} */
  #looking = Promise.resolve();
  /** @type {CaseDetail|null} */
  #detail = null;
  /** @type {Nearby|null} */
  #nearby = null;
  /** Photos and reporter, made once per case: what somebody writes there survives a new rendering. @type {{ref: string, version: number, parts: HTMLElement[]}} */
  #evidence = { ref: "", version: 0, parts: [] };
  /** @type {import("./types.js").Suggestion|null} */
  #suggestion = null;
  /** @type {import("./moves.js").Draft|null} */
  #draft = null;
  /** What may be chosen before a dispatch. @type {import("./moves.js").Options|null} */
  #options = null;
  #viewing = new Viewing(() => this.#showOthers());
  /** @type {{text: string, kind: "fault"|"note", lines?: string[]}|null} */
  #note = null;
  #busy = "";

  /** @param {{close: () => void, changed: (one: Case) => void, centre: (one: Case) => void, open: (ref: string) => void, pin: (one: Case, take: (code: string) => void) => void, unpin: () => void, undoable: (text: string, token: string, until: string) => void}} on `undoable` when a move was made that can be taken back */
  constructor(on) {
    this.#on = on;
  }

  get isOpen() {
    return !this.#root.hidden;
  }

  get ref() {
    return this.isOpen ? (this.#detail?.case ?? this.#root.dataset.case ?? null) : null;
  }

  /** The moves that may be made on the shown case now. */
  get moves() {
    return this.isOpen ? (this.#detail?.moves ?? []) : [];
  }

  focus() {
    this.#root.focus();
  }

  close() {
    this.#abort?.abort();
    this.#viewing.show(null);
    this.#on.unpin();
    this.#root.hidden = true;
    this.#detail = null;
    this.#draft = null;
    this.#note = null;
    delete this.#root.dataset.case;
  }

  /**
   * Show a case: at once what the queue knows, then the rest.
   * @param {Case} one
   */
  open(one) {
    if (this.#root.dataset.case !== one.case) {
      this.#detail = null;
      this.#draft = null;
      this.#note = null;
      this.#root.scrollTop = 0;
      this.#on.unpin();
    }
    this.#root.dataset.case = one.case;
    this.#root.hidden = false;
    this.#viewing.show(one.case);
    this.#render(one);
    this.#loading = this.#load(one);
  }

  /** @param {Case} one the same case, as the stream has just told it */
  refresh(one) {
    if (this.#root.dataset.case !== one.case || (this.#detail && this.#detail.version >= one.version)) return;
    this.#loading = this.#load(one);
  }

  /** Once a minute the time left is another one. */
  tick() {
    if (this.isOpen && this.#detail && !this.#draft) this.#render(this.#detail);
  }

  /** @param {Case} one */
  async #load(one) {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    try {
      const detail = await getCase(one.case, abort.signal);
      if (abort.signal.aborted) return;
      this.#detail = detail;
      this.#render(detail);
      this.#on.changed(detail);
      this.#looking = this.#look(detail, abort.signal);
    } catch (fault) {
      if (abort.signal.aborted) return;
      this.#note = { kind: "fault", text: `${t("console.panel.error")} · ${fault instanceof Error ? fault.message : ""}` };
      this.#render(one);
    }
  }

  /**
   * What belongs to a case comes after the case itself: nobody waits for it.
   * @param {CaseDetail} one
   * @param {AbortSignal} signal
   */
  async #look(one, signal) {
    const ref = one.case;
    const reading = [
      getNearby(ref, signal).then((found) => void (this.#nearby = found)),
      this.#hasEvidence(one) ? Promise.resolve() : this.#readEvidence(one, signal),
      BEFORE_DISPATCH.has(one.status) && one.chain.length ? getSuggestion(one, signal).then((found) => void (this.#suggestion = found)) : Promise.resolve(),
    ];
    // The case is shown without what cannot be read beside it.
    await Promise.allSettled(reading);
    if (signal.aborted || this.#detail?.case !== ref) return;
    // A form that somebody writes in is not rendered anew for this; the next rendering shows it.
    if (!this.#draft) this.#render(this.#detail);
  }

  /**
   * Whoever reports back may bring photos; the words of somebody who is just giving a reason are not taken away for that.
   * @param {CaseDetail} one
   */
  #hasEvidence(one) {
    if (this.#evidence.ref !== one.case) return false;
    return this.#evidence.version === one.version || this.#root.querySelector(".reporter-form") !== null;
  }

  /**
   * @param {CaseDetail} one
   * @param {AbortSignal} signal
   */
  async #readEvidence({ case: ref, version }, signal) {
    const [photos, reporter] = await Promise.all([listPhotos(ref, signal), getReporter(ref, signal).catch(() => null)]);
    /** @type {HTMLElement[]} */
    const parts = [];
    const who = reporter && reporterBox(reporter);
    if (who) {
      parts.push(section("desk.reporter.title"));
      parts.at(-1)?.append(who);
    }
    if (photos.length) {
      parts.push(section("desk.photo.title"));
      parts.at(-1)?.append(photoStrip(photos));
    }
    if (!signal.aborted) this.#evidence = { ref, version, parts };
  }

  /**
   * Begin a move by key: the first of those named that is allowed now.
   * @param {readonly string[]} moves
   * @param {string} otherwise what to say when none is
   * @param {boolean} [isChoosing] whether the desk wants to say who gets it
   */
  async begin(moves, otherwise, isChoosing = false) {
    await this.#loading;
    const detail = this.#detail;
    if (!detail) return;
    const move = moves.find((name) => detail.moves.includes(name));
    if (move) await this.#choose(move, isChoosing);
    else {
      this.#note = { kind: "note", text: otherwise };
      announce(otherwise);
      this.#render(detail);
    }
  }

  /** @returns {boolean} whether there was a draft to give up */
  cancelDraft() {
    if (!this.#draft || !this.#detail) return false;
    this.#draft = null;
    this.#render(this.#detail);
    this.focus();
    return true;
  }

  /**
   * @param {string} move
   * @param {boolean} [isChoosing]
   */
  async #choose(move, isChoosing = false) {
    const detail = this.#detail;
    if (!detail) return;
    const chooses = isChoosing && CHOOSING.includes(move);
    if (!asksFor(move).length && !chooses) {
      await this.#make({ move });
      return;
    }
    // Whoever types ahead of the answer gets the duplicates that a merge chooses from, too.
    if (asksFor(move).includes("into")) await this.#looking;
    const twin = this.#twin(detail.case);
    // The hint has named it already: the key is the answer, and Shift chooses another.
    if (move === "merge" && twin && !isChoosing) {
      await this.#make({ move, into: twin });
      return;
    }
    if (chooses) this.#options = await getOptions(detail.category.code).catch(() => null);
    if (this.#detail?.case !== detail.case) return;
    this.#draft = beginDraft(move, this.#draft, this.#nearby?.case === detail.case ? this.#nearby : null, chooses);
    this.#note = null;
    this.#render(detail);
    this.#focusForm();
  }

  /**
   * @param {string} ref
   * @returns {string|null} the likeliest of the open cases that say the same
   */
  #twin(ref) {
    return (this.#nearby?.case === ref && this.#nearby.duplicates[0]?.case) || null;
  }

  #focusForm() {
    const field = this.#root.querySelector(".move-form input:checked, .move-form textarea, .move-form select, .move-form input");
    if (field instanceof HTMLElement) field.focus();
    else this.focus();
  }

  /** @param {import("./moves.js").MoveBody} body */
  async #make(body) {
    const seen = this.#detail;
    if (!seen || this.#busy) return;
    this.#busy = body.move;
    this.#note = null;
    this.#render(seen);
    const name = t(`move.${body.move}`);
    try {
      const after = await this.#carryOut(seen, body);
      this.#draft = null;
      this.#note = { kind: "note", text: t("console.move.done", { case: seen.case, move: name }) };
      announce(this.#note.text);
      this.#busy = "";
      this.#on.changed(after);
      if (this.#root.dataset.case === seen.case) this.#loading = this.#load(after);
    } catch (fault) {
      this.#busy = "";
      const isConflict = fault instanceof ServiceError && (fault.status === 412 || fault.status === 409);
      if (isConflict) {
        // Somebody was faster: show what is true now before anything else is decided. The draft's text is kept.
        // The stream may have begun to read the same: the last reading is the one that counts.
        this.#loading = this.#load(seen);
        for (let last = null; last !== this.#loading; ) await (last = this.#loading);
        const now = this.#detail;
        const text = now && now.version > seen.version
          ? t("console.move.conflict", { version: now.version, move: name })
          : t("console.move.refused", { move: name, reason: fault.message });
        this.#note = { kind: "fault", text, lines: now && now.version > seen.version ? differences(seen, now) : [] };
      } else {
        // Only the desk can say on which terms: ask at once instead of leaving it with a refusal.
        if (fault instanceof ServiceError && fault.code === "dispatch.condition_required") await this.#choose(body.move, true);
        this.#note = { kind: "fault", text: t("console.move.refused", { move: name, reason: fault instanceof Error ? fault.message : "" }) };
      }
      announce(this.#note.text);
    }
    if (this.#detail && this.#root.dataset.case === this.#detail.case) this.#render(this.#detail);
  }

  /**
   * @param {CaseDetail} seen
   * @param {import("./moves.js").MoveBody} body
   * @returns {Promise<Case>} the case after it
   */
  async #carryOut(seen, body) {
    if (!UNDOABLE.has(body.move)) return makeMove(seen.case, seen.version, body);
    const made = await makeUndoable(seen.case, seen.version, body);
    if (made.undo && made.undo_until) this.#on.undoable(t("console.move.done", { case: seen.case, move: t(`move.${body.move}`) }), made.undo, made.undo_until);
    return getCase(seen.case, new AbortController().signal);
  }

  /** @param {Case|CaseDetail} one */
  #render(one) {
    const now = new Date();
    const held = document.activeElement instanceof HTMLElement && this.#root.contains(document.activeElement) ? document.activeElement : null;
    const place = {
      take: "moves" in one && PLACING_MOVES.some((move) => one.moves.includes(move)) ? (/** @type {string} */ code) => this.#send(code) : null,
      pin: () => this.#on.pin(one, (code) => this.#send(code)),
      centre: () => this.#on.centre(one),
    };
    const parts = [...headParts(one, now, this.#on.close), this.#moves(one)];
    if (this.#evidence.ref === one.case) parts.push(...this.#evidence.parts);
    parts.push(placePart(one, place), responsiblePart(one, this.#suggestion?.case === one.case ? this.#suggestion : null), deadlinePart(one, now));
    if (this.#nearby?.case === one.case) {
      const near = section("console.repeats.title");
      near.append(...nearbyParts(this.#nearby, now, this.#on.open));
      parts.push(near);
    }
    if ("events" in one) parts.push(timelinePart(one, now));
    this.#root.replaceChildren(...parts);
    // Rendering anew must not throw the keyboard out of the panel.
    if (held?.isConnected) held.focus({ preventScroll: true });
    else if (held) this.#focusForm();
  }

  /** @param {Case|CaseDetail} one */
  #moves(one) {
    const box = make("div", "moves");
    box.append(this.#others());
    this.#viewing.draft(this.#draft !== null);
    if (this.#note) {
      const note = make("p", `note note-${this.#note.kind}`, this.#note.text);
      if (this.#note.kind === "fault") note.setAttribute("role", "alert");
      if (this.#note.lines?.length) {
        const changes = make("ul", "note-lines");
        changes.append(...this.#note.lines.map((line) => make("li", "", line)));
        note.append(changes);
      }
      box.append(note);
    }
    if (!("moves" in one)) return box;
    const draft = this.#draft;
    if (draft && one.moves.includes(draft.move)) {
      box.append(this.#form(draft));
      return box;
    }
    if (!one.moves.length) box.append(make("p", "quiet", t("console.panel.no_moves")));
    box.append(moveButtons(one.moves, this.#busy, (move) => void this.#choose(move), this.#twin(one.case)));
    return box;
  }

  /** Who else has it open. @returns {HTMLElement} */
  #others() {
    const box = make("div", "others");
    box.setAttribute("role", "status");
    for (const other of this.#viewing.others) {
      const name = other.name || t("desk.viewing.somebody");
      box.append(make("p", other.drafting ? "other other-drafting" : "other", t(other.drafting ? "desk.viewing.drafting" : "desk.viewing.looking", { name })));
    }
    return box;
  }

  /** Only this line changes: what somebody is writing stays untouched. */
  #showOthers() {
    this.#root.querySelector(".others")?.replaceWith(this.#others());
  }

  /**
   * Let one of the cells near a case without a cell answer.
   * @param {number} at
   */
  async takeNearest(at) {
    await this.#loading;
    const one = this.#detail;
    const cell = one && !one.chain.length ? one.nearest[at] : undefined;
    if (cell) this.#send(cell.code);
  }

  /** @param {string} code the cell that shall answer */
  #send(code) {
    const move = PLACING_MOVES.find((name) => this.#detail?.moves.includes(name));
    if (!move) return;
    this.#on.unpin();
    void this.#make({ move, cell: code });
  }

  /** @param {import("./moves.js").Draft} draft */
  #form(draft) {
    return moveForm(draft, {
      busy: this.#busy !== "",
      options: this.#options,
      nearby: this.#nearby?.case === this.#root.dataset.case ? this.#nearby : null,
      send: () => {
        const body = bodyOf(draft);
        if (body) void this.#make(body);
      },
      cancel: () => this.cancelDraft(),
    });
  }
}
