// The case panel: everything about one case, and the moves that may be made now.

import { announce, byId, make } from "./dom.js";
import { differences } from "./differences.js";
import { asksFor, beginDraft, bodyOf, moveButtons, moveForm } from "./moves.js";
import { nearestChoices, PLACING_MOVES } from "./placing.js";
import { legList } from "./legs.js";
import { nearbyParts } from "./repeats.js";
import { getCase, getNearby, makeMove, ServiceError } from "./service.js";
import { known, sign } from "./shapes.js";
import { dueText, moment, placeOf, t, timeLeft, waiting } from "./texts.js";
import { Viewing } from "./viewing.js";
import { candidateList, chainList, holderLine } from "./who.js";
import { whyThisPerson, whyThisTime } from "./why.js";

/** @typedef {import("./types.js").Case} Case */
/** @typedef {import("./types.js").CaseDetail} CaseDetail */
/** @typedef {import("./types.js").Holder} Holder */
/** @typedef {import("./types.js").Nearby} Nearby */

const STAMPS = /** @type {const} */ (["reported_at", "dispatched_at", "acknowledged_at", "handled_at", "closed_at"]);

export class Panel {
  #root = byId("panel");
  #on;
  /** @type {AbortController|null} */
  #abort = null;
  /** @type {Promise<void>} */
  #loading = Promise.resolve();
  /** @type {CaseDetail|null} */
  #detail = null;
  /** @type {Nearby|null} */
  #nearby = null;
  /** @type {import("./moves.js").Draft|null} */
  #draft = null;
  #viewing = new Viewing(() => this.#showOthers());
  /** @type {{text: string, kind: "fault"|"note", lines?: string[]}|null} */
  #note = null;
  #busy = "";

  /** @param {{close: () => void, changed: (one: Case) => void, centre: (one: Case) => void, open: (ref: string) => void, pin: (one: Case, take: (code: string) => void) => void, unpin: () => void}} on */
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
      void this.#look(one.case, abort.signal);
    } catch (fault) {
      if (abort.signal.aborted) return;
      this.#note = { kind: "fault", text: `${t("console.panel.error")} · ${fault instanceof Error ? fault.message : ""}` };
      this.#render(one);
    }
  }

  /**
   * What lies near comes after the case itself: nobody waits for it.
   * @param {string} ref
   * @param {AbortSignal} signal
   */
  async #look(ref, signal) {
    try {
      const found = await getNearby(ref, signal);
      if (signal.aborted || this.#detail?.case !== ref) return;
      this.#nearby = found;
      // A form that somebody writes in is not rendered anew for this; the next rendering shows it.
      if (!this.#draft) this.#render(this.#detail);
    } catch {
      // The case is shown without its neighbours.
    }
  }

  /**
   * Begin a move by key: the first of those named that is allowed now.
   * @param {readonly string[]} moves
   * @param {string} otherwise what to say when none is
   */
  async begin(moves, otherwise) {
    await this.#loading;
    const detail = this.#detail;
    if (!detail) return;
    const move = moves.find((name) => detail.moves.includes(name));
    if (move) this.#choose(move);
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

  /** @param {string} move */
  #choose(move) {
    const detail = this.#detail;
    if (!detail) return;
    if (!asksFor(move).length) {
      void this.#make({ move });
      return;
    }
    this.#draft = beginDraft(move, this.#draft, this.#nearby?.case === detail.case ? this.#nearby : null);
    this.#note = null;
    this.#render(detail);
    this.#focusForm();
  }

  #focusForm() {
    const field = this.#root.querySelector(".move-form input:checked, .move-form textarea, .move-form input");
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
      const after = await makeMove(seen.case, seen.version, body);
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
        await this.#load(seen);
        const now = this.#detail;
        const text = now && now.version > seen.version
          ? t("console.move.conflict", { version: now.version, move: name })
          : t("console.move.refused", { move: name, reason: fault.message });
        this.#note = { kind: "fault", text, lines: now && now.version > seen.version ? differences(seen, now) : [] };
      } else {
        this.#note = { kind: "fault", text: t("console.move.refused", { move: name, reason: fault instanceof Error ? fault.message : "" }) };
      }
      announce(this.#note.text);
    }
    if (this.#detail && this.#root.dataset.case === this.#detail.case) this.#render(this.#detail);
  }

  /** @param {Case|CaseDetail} one */
  #render(one) {
    const now = new Date();
    const light = known(one.light);
    const hadFocus = this.#root.contains(document.activeElement);
    const head = make("header", "panel-head");
    const status = make("p", "panel-status");
    status.append(sign(light), make("strong", `panel-left left-${light}`, light === "none" ? t(`state.${one.status}`) : timeLeft(one, now)));
    const words = light === "none" ? waiting(one, now) : `${t(`light.${light}`)} · ${t(`state.${one.status}`)}`;
    status.append(make("span", "panel-word", words));
    const close = make("button", "icon-button", "×");
    close.type = "button";
    close.setAttribute("aria-label", t("console.panel.close"));
    close.addEventListener("click", this.#on.close);
    head.append(status, close);
    if (one.due_at && light !== "none") head.append(make("p", "panel-due", dueText(one, now)));

    const title = make("div", "panel-title");
    const heading = make("h2");
    heading.append(make("span", "panel-code", one.category.code), make("span", "", one.category.name));
    const number = make("p", "panel-number");
    number.append(make("span", "", `#${one.case}`), make("span", "", t("console.panel.version", { version: one.version })));
    number.append(make("bdi", "", t("console.panel.channel", { channel: one.channel_name, ticket: one.ticket })));
    title.append(heading, number);

    const text = make("p", one.text ? "panel-text typed" : "panel-text quiet", one.text || t("console.panel.no_text"));
    text.dir = "auto";

    const parts = [head, title, text, this.#moves(one), this.#place(one), this.#responsible(one), this.#deadline(one, now)];
    if (this.#nearby?.case === one.case) {
      const section = this.#section("console.repeats.title");
      section.append(...nearbyParts(this.#nearby, now, this.#on.open));
      parts.push(section);
    }
    if ("events" in one) parts.push(this.#timeline(one, now));
    this.#root.replaceChildren(...parts);
    // Rendering anew must not throw the keyboard out of the panel.
    if (hadFocus && !this.#root.contains(document.activeElement)) {
      this.#focusForm();
    }
  }

  /**
   * @param {string} key
   * @returns {HTMLElement}
   */
  #section(key) {
    const section = make("section", "panel-section");
    section.append(make("h3", "", t(key)));
    return section;
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
    box.append(moveButtons(one.moves, this.#busy, (move) => this.#choose(move)));
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
  takeNearest(at) {
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
      nearby: this.#nearby?.case === this.#root.dataset.case ? this.#nearby : null,
      send: () => {
        const body = bodyOf(draft);
        if (body) void this.#make(body);
      },
      cancel: () => this.cancelDraft(),
    });
  }

  /** @param {Case|CaseDetail} one */
  #place(one) {
    const section = this.#section("console.panel.chain");
    if (one.chain.length) section.append(chainList(one.chain));
    else {
      section.append(make("p", "", one.nearest.length ? t("console.locate.out") : placeOf(one)));
      const may = "moves" in one && PLACING_MOVES.some((move) => one.moves.includes(move));
      if (one.nearest.length) section.append(make("p", "quiet", t("console.locate.nearest")), nearestChoices(one.nearest, may ? (code) => this.#send(code) : null));
      if (may) {
        const pin = make("button", "link", t("desk.place.drag"));
        pin.type = "button";
        pin.addEventListener("click", () => this.#on.pin(one, (code) => this.#send(code)));
        section.append(pin);
      }
    }
    if ("accuracy" in one && one.accuracy?.reason) section.append(...candidateList(one.accuracy));
    if (one.address) section.append(make("p", "panel-address typed", one.address));
    if (one.location) {
      const { lon, lat } = one.location;
      const line = make("p", "panel-point");
      const centre = make("button", "link", t("console.panel.centre"));
      centre.type = "button";
      centre.addEventListener("click", () => this.#on.centre(one));
      line.append(make("span", "", `${lon.toFixed(6)}, ${lat.toFixed(6)}`), centre);
      section.append(line);
    }
    return section;
  }

  /** @param {Case|CaseDetail} one */
  #responsible(one) {
    const section = this.#section("console.panel.responsible");
    const list = make("ul", "holders");
    if (one.head) list.append(holderLine(one.head));
    else list.append(make("li", "quiet", t("console.locate.nobody")));
    const backup = "backup" in one ? one.backup : null;
    if (backup) list.append(holderLine(backup));
    section.append(list);
    if ("why" in one && one.why?.length) section.append(whyThisPerson(one.why));
    if ("legs" in one && one.legs?.length) {
      section.append(make("p", "repeats-title", t("console.legs.title")), legList(one.legs, new Date()));
    }
    return section;
  }

  /**
   * @param {Case} one
   * @param {Date} now
   */
  #deadline(one, now) {
    const section = this.#section("console.panel.deadline");
    const facts = make("dl", "facts");
    const add = (/** @type {string} */ key, /** @type {string} */ value) => {
      const pair = make("div");
      pair.append(make("dt", "", t(key)), make("dd", "", value));
      facts.append(pair);
    };
    for (const stamp of STAMPS) {
      const at = one[stamp];
      if (at) add(`console.fact.${stamp}`, moment(new Date(at), now));
    }
    add("console.fact.due_at", one.due_at ? moment(new Date(one.due_at), now) : t("console.time.none"));
    if (one.ledgers.length) add("console.panel.ledgers", one.ledger_names.join("、"));
    section.append(facts);
    if (one.due_at) section.append(whyThisTime(one.case));
    return section;
  }

  /**
   * @param {CaseDetail} one
   * @param {Date} now
   */
  #timeline(one, now) {
    const section = this.#section("console.panel.timeline");
    const list = make("ol", "timeline");
    for (const event of [...one.events].sort((a, b) => b.seq - a.seq)) {
      const item = make("li");
      const what = event.moves.map((move) => t(`move.${move}`)).join(" → ");
      const line = make("p", "timeline-what");
      line.append(make("strong", "", what), make("time", "", moment(new Date(event.at), now)));
      item.append(line);
      if (event.actor) item.append(make("bdi", "quiet", event.actor));
      if (event.text) item.append(make("p", "timeline-text typed", event.text));
      list.append(item);
    }
    section.append(list);
    return section;
  }
}
