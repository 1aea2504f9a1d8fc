// What a version is, what the selected cell is, and how a draft begins and ends.

import { announce, make } from "../console/dom.js";
import { number, t } from "../console/texts.js";
import { createDraft, discardDraft, withdrawVersion } from "./service.js";
import { area, config, counts, instant, levelName, sourceOf, titleOf, validity } from "./words.js";

/** @typedef {import("./types.js").CellFeature} CellFeature */
/** @typedef {import("./types.js").Version} Version */
/** @typedef {import("./desk.js").Desk} Desk */

/**
 * @param {[string, string|null][]} rows label and what people wrote or we count; rows without a value are left out
 * @returns {HTMLElement}
 */
export function factList(rows) {
  const list = make("dl", "version-facts");
  for (const [label, value] of rows) {
    if (!value) continue;
    const row = make("div");
    const said = make("dd");
    said.append(make("bdi", "typed", value));
    row.append(make("dt", "", label), said);
    list.append(row);
  }
  return list;
}

/**
 * @param {string} label
 * @param {() => void} act
 * @param {string} [kind]
 * @returns {HTMLButtonElement}
 */
export function button(label, act, kind = "") {
  const made = make("button", `button ${kind}`.trim(), label);
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}

/**
 * @param {unknown} fault
 * @returns {string}
 */
export function reasonOf(fault) {
  return fault instanceof Error ? fault.message : String(fault);
}

export class OverviewView {
  #desk;
  #cell = make("section", "pane-section");
  #fault = make("p", "note note-fault");

  /** @param {Desk} desk */
  constructor(desk) {
    this.#desk = desk;
    this.#fault.setAttribute("role", "alert");
  }

  /** @param {HTMLElement} pane */
  async show(pane) {
    const version = this.#desk.version;
    if (!version) return;
    const facts = factList([
      [t("grid_page.fact.validity"), validity(version)],
      [t("grid_page.fact.cells"), counts(version.cells)],
      [t("grid_page.fact.code_system"), version.code_system],
      [t("grid_page.fact.source"), sourceOf(version)],
      [t("grid_page.fact.based_on"), version.based_on === null ? null : t("grid_page.version", { number: version.based_on })],
      [t("grid_page.fact.created"), version.created_at ? instant(version.created_at) : null],
      [t("grid_page.fact.revision"), version.status === "draft" ? t("grid_page.fact.revisions", { count: number(version.revision) }) : null],
    ]);
    this.#fault.hidden = true;
    pane.replaceChildren(facts, this.#fault);
    if (config.may_write) pane.append(this.#moves(version, pane));
    pane.append(this.#cell);
    this.selected(this.#desk.selected);
  }

  leave() {}

  /** @param {CellFeature|null} cell */
  selected(cell) {
    this.#cell.replaceChildren(make("h3", "", t("grid_page.cell.title")));
    if (!cell) {
      this.#cell.append(make("p", "quiet", t("grid_page.cell.none")));
      return;
    }
    const is = cell.properties;
    const parent = is.parent ? this.#desk.ground.get(is.parent) : undefined;
    this.#cell.append(factList([
      [t("grid_page.cell.name"), is.name],
      [t("grid_page.cell.code"), is.code],
      [t("grid_page.cell.level"), levelName(is.level)],
      [t("grid_page.cell.parent"), parent ? `${parent.properties.name} ${parent.properties.code}` : is.parent],
      [t("grid_page.cell.area"), area(is.area_m2)],
      [t("grid_page.cell.population"), is.population === null ? null : number(is.population)],
    ]));
  }

  /**
   * @param {Version} version
   * @param {HTMLElement} pane
   */
  #moves(version, pane) {
    const row = make("div", "move-row pane-moves");
    if (version.status === "draft") {
      row.append(
        button(t("grid_page.draft.redraw"), () => void this.#desk.showTab("redraw"), "button-primary"),
        button(t("grid_page.draft.discard"), () => this.#askDiscard(version, pane, row)),
      );
    } else {
      if (version.status === "scheduled") row.append(button(t("grid_page.draft.withdraw"), () => void this.#withdraw(version)));
      row.append(button(t("grid_page.draft.new"), () => void this.#new(version), "button-primary"));
      pane.append(make("p", "quiet pane-note", t("grid_page.draft.published_fixed")));
    }
    return row;
  }

  /** @param {Version} version */
  async #new(version) {
    try {
      const made = await createDraft(version.number);
      announce(t("grid_page.draft.made", { version: titleOf(made) }));
      await this.#desk.reload(made.number, "redraw");
    } catch (fault) {
      this.#say(fault);
    }
  }

  /**
   * What would be lost is said before it is; a discarded draft cannot be brought back.
   * @param {Version} version
   * @param {HTMLElement} pane
   * @param {HTMLElement} row
   */
  #askDiscard(version, pane, row) {
    const ask = make("div", "ask");
    const keep = button(t("grid_page.draft.keep"), () => ask.replaceWith(row));
    const moves = make("div", "move-row");
    moves.append(button(t("grid_page.draft.discard_now"), () => void this.#discard(version), "button-danger"), keep);
    ask.append(make("p", "", t("grid_page.draft.discard_what", { version: titleOf(version), count: number(version.revision), cells: counts(version.cells) })), moves);
    row.replaceWith(ask);
    keep.focus();
    pane.scrollTop = 0;
  }

  /** @param {Version} version */
  async #discard(version) {
    try {
      await discardDraft(version);
      announce(t("grid_page.draft.discarded", { version: titleOf(version) }));
      await this.#desk.reload(version.based_on, "overview");
    } catch (fault) {
      this.#say(fault);
    }
  }

  /**
   * Nothing is lost by it: the version is a draft again and can be activated anew, so nobody is asked.
   * @param {Version} version
   */
  async #withdraw(version) {
    try {
      await withdrawVersion(version);
      announce(t("grid_page.draft.withdrawn", { version: titleOf(version) }));
      await this.#desk.reload(version.number, "overview");
    } catch (fault) {
      this.#say(fault);
    }
  }

  /** @param {unknown} fault */
  #say(fault) {
    this.#fault.textContent = reasonOf(fault);
    this.#fault.hidden = false;
  }
}
