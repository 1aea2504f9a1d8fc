// The command palette: everything the desk can do, every case, every cell and every place, found by typing.

import { announce, byId, make } from "./dom.js";
import { pointOf } from "./point_text.js";
import { findPlaces } from "./service.js";
import { context, t } from "./texts.js";

/**
 * @typedef {object} Entry
 * @property {string} kind a word for what it is: `move`, `inbox`, `page`, `desk`, `case`, `cell`, `place`, `point`
 * @property {string} name
 * @property {string} [detail]
 * @property {string} [keys] how to do it without the palette
 * @property {() => void} run
 */
/** @typedef {import("./point_text.js").CoordSys} CoordSys */

const MOST_OF_A_KIND = 7;
/** Typing pauses this long before places are asked for. */
const PAUSE = 180;
export class Palette {
  #dialog = /** @type {HTMLDialogElement} */ (byId("palette"));
  #input = /** @type {HTMLInputElement} */ (byId("palette-input"));
  #list = byId("palette-list");
  /** @type {Entry[]} */
  #entries = [];
  /** @type {{typed: string, isSure: boolean, entries: Entry[]}} */
  #places = { typed: "", isSure: false, entries: [] };
  /** @type {{typed: string, answered: Promise<void>}|null} */
  #asking = null;
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;
  #chosen = 0;
  /** Whether only places are meant: somebody asks who answers there. */
  #isAboutPlaces = false;
  #on;

  /** @param {{entries: (words: string[]) => Entry[], ask: (typed: string) => Promise<Entry[]>, who: (lon: number, lat: number, coordSys: CoordSys, name?: string) => void}} on `ask` what only the service knows */
  constructor(on) {
    this.#on = on;
    this.#input.addEventListener("input", () => this.#show());
    this.#input.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
      if (step && this.#entries.length) this.#choose((this.#chosen + step + this.#entries.length) % this.#entries.length);
      else if (event.key === "Enter") void this.#enter();
      else return;
      event.preventDefault();
    });
    this.#list.addEventListener("click", (event) => {
      const row = event.target instanceof Element ? event.target.closest("[data-at]") : null;
      if (row instanceof HTMLElement) this.#run(Number(row.dataset.at));
    });
    this.#dialog.addEventListener("click", (event) => {
      if (event.target === this.#dialog) this.#dialog.close();
    });
  }

  /**
   * @param {string} [typed] what stands in the field already
   * @param {boolean} [isAboutPlaces] whether the question is who answers somewhere
   */
  open(typed = "", isAboutPlaces = false) {
    this.#isAboutPlaces = isAboutPlaces;
    if (!this.#dialog.open) this.#dialog.showModal();
    this.#input.value = typed;
    this.#input.focus();
    this.#show();
  }

  /** @param {number} [chosen] */
  #show(chosen = 0) {
    const typed = this.#input.value.trim();
    clearTimeout(this.#timer);
    if (this.#isUnasked(typed)) this.#timer = setTimeout(() => void this.#askPlaces(typed), PAUSE);
    const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
    const places = this.#places.typed && typed.startsWith(this.#places.typed) ? this.#places.entries : [];
    /** @type {Record<string, number>} */
    const counts = {};
    const others = this.#isAboutPlaces && typed ? [] : this.#on.entries(words);
    this.#entries = [...this.#pointEntries(typed), ...others, ...places].filter((entry) => {
      counts[entry.kind] = (counts[entry.kind] ?? 0) + 1;
      return ["move", "desk", "view"].includes(entry.kind) || (counts[entry.kind] ?? 0) <= MOST_OF_A_KIND;
    });
    this.#render();
    this.#choose(chosen);
  }

  /**
   * @param {string} typed
   * @returns {Entry[]}
   */
  #pointEntries(typed) {
    const point = pointOf(typed);
    if (!point) return [];
    const [lon, lat] = point.at.map((degrees) => Number(degrees.toFixed(7)));
    if (lon === undefined || lat === undefined) return [];
    // What the words beside it say comes first; whoever knows better still has the others.
    const systems = /** @type {CoordSys[]} */ (["wgs84", "gcj02", "bd09"]).sort((a, b) => Number(b === point.coordSys) - Number(a === point.coordSys));
    return systems.map((coordSys) => ({
      kind: "point",
      name: t("desk.palette.who_here", { lon, lat }),
      detail: t(`desk.palette.${coordSys}`),
      run: () => this.#on.who(lon, lat, coordSys),
    }));
  }

  /** @param {string} typed whether it may be a place of which nothing is known yet */
  #isUnasked(typed) {
    return typed.length >= 2 && !pointOf(typed) && this.#places.typed !== typed;
  }

  /**
   * Ask once for what was typed; who asks again meanwhile waits for the same answer.
   * @param {string} typed
   * @returns {Promise<void>}
   */
  #askPlaces(typed) {
    if (this.#asking?.typed !== typed) this.#asking = { typed, answered: this.#readPlaces(typed) };
    return this.#asking.answered;
  }

  /** @param {string} typed */
  async #readPlaces(typed) {
    // Who asks who answers at an address means the address: cells of that name are asked for after it and stand after it.
    const isAboutPlaces = this.#isAboutPlaces;
    // What cannot be found now is missing; the rest of the palette does not wait for it.
    const [found, cells] = await Promise.all([findPlaces(typed).catch(() => null), isAboutPlaces ? [] : this.#findCells(typed)]);
    const places = (found?.places ?? []).map((place) => ({
      kind: "place",
      name: place.name,
      detail: t(`place.kind.${place.kind}`),
      run: () => this.#on.who(place.location.lon, place.location.lat, "wgs84", place.name),
    }));
    if (this.#asking?.typed === typed) this.#asking = null;
    this.#answer({ typed, isSure: found?.is_sure ?? false, entries: [...cells, ...places] });
    if (!isAboutPlaces) return;
    void this.#findCells(typed).then((more) => {
      if (more.length && this.#places.typed === typed) this.#answer({ ...this.#places, entries: [...places, ...more] }, this.#chosen);
    });
  }

  /** @param {string} typed */
  #findCells(typed) {
    return this.#on.ask(typed).catch(() => []);
  }

  /**
   * @param {{typed: string, isSure: boolean, entries: Entry[]}} places
   * @param {number} [chosen]
   */
  #answer(places, chosen) {
    this.#places = places;
    if (this.#dialog.open && this.#input.value.trim() === places.typed) this.#show(chosen);
  }

  /** Enter runs what is chosen. Whoever was faster than the places waits for them, and chooses only where they leave a doubt. */
  async #enter() {
    const typed = this.#input.value.trim();
    if ((this.#isAboutPlaces || !this.#entries.length) && this.#isUnasked(typed)) {
      clearTimeout(this.#timer);
      await this.#askPlaces(typed);
      if (!this.#dialog.open || this.#input.value.trim() !== typed || !this.#places.isSure) return;
    }
    this.#run(this.#chosen);
  }

  #render() {
    let kind = "";
    /** @type {HTMLElement[]} */
    const rows = [];
    for (const [at, entry] of this.#entries.entries()) {
      if (entry.kind !== kind) {
        kind = entry.kind;
        const title = make("li", "palette-kind", t(`desk.palette.kind.${kind}`));
        title.setAttribute("role", "presentation");
        rows.push(title);
      }
      const row = make("li", "palette-row");
      row.id = `palette-${at}`;
      row.dataset.at = String(at);
      row.setAttribute("role", "option");
      row.append(make("bdi", "palette-name", entry.name));
      if (entry.detail) row.append(make("bdi", "palette-detail", entry.detail));
      if (entry.keys) row.append(make("kbd", "", entry.keys));
      rows.push(row);
    }
    if (!rows.length) rows.push(make("li", "palette-none", t("desk.palette.none")));
    this.#list.replaceChildren(...rows);
    this.#list.lang = context.locale;
  }

  /** @param {number} at */
  #choose(at) {
    this.#list.querySelector("[aria-selected=true]")?.removeAttribute("aria-selected");
    this.#chosen = at;
    const row = document.getElementById(`palette-${at}`);
    row?.setAttribute("aria-selected", "true");
    row?.scrollIntoView({ block: "nearest" });
    if (row) this.#input.setAttribute("aria-activedescendant", row.id);
    else this.#input.removeAttribute("aria-activedescendant");
  }

  /** @param {number} at */
  #run(at) {
    const entry = this.#entries[at];
    if (!entry) return;
    this.#dialog.close();
    announce(entry.name);
    entry.run();
  }
}

/**
 * Whether all words occur in one of the texts joined.
 * @param {string[]} words lower case
 * @param {...string} texts
 */
export function fits(words, ...texts) {
  const haystack = texts.join("\n").toLowerCase();
  return words.every((word) => haystack.includes(word));
}
