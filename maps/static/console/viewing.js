// Who else has this case open: said beside the moves, so that two people do not write the same one.

import { sayViewing } from "./service.js";

const EVERY_MS = 8000;
/** This page among all others, as long as it is open. */
const desk = crypto.randomUUID();

/** @typedef {{name: string, drafting: boolean, since: string}} Other */

export class Viewing {
  /** @type {string|null} */
  #ref = null;
  #isDrafting = false;
  /** @type {Other[]} */
  others = [];
  #changed;

  /** @param {() => void} changed called when others come or go */
  constructor(changed) {
    this.#changed = changed;
    setInterval(() => void this.#say(), EVERY_MS);
    window.addEventListener("pagehide", () => this.show(null));
  }

  /** @param {string|null} ref the case that the panel shows */
  show(ref) {
    if (ref === this.#ref) return;
    if (this.#ref) void sayViewing(this.#ref, { desk, leaving: true }).catch(() => undefined);
    this.#ref = ref;
    this.others = [];
    this.#isDrafting = false;
    void this.#say();
  }

  /** @param {boolean} isDrafting whether a move is being written */
  draft(isDrafting) {
    if (isDrafting === this.#isDrafting) return;
    this.#isDrafting = isDrafting;
    void this.#say();
  }

  async #say() {
    const ref = this.#ref;
    // A tab that nobody looks at is nobody's desk.
    if (!ref || document.hidden) return;
    try {
      const { others } = await sayViewing(ref, { desk, drafting: this.#isDrafting });
      if (ref !== this.#ref || JSON.stringify(others) === JSON.stringify(this.others)) return;
      this.others = others;
      this.#changed();
    } catch {
      // Versions guard the moves; this is only a courtesy.
    }
  }
}
