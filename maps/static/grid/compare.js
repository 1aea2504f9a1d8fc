// Two versions side by side: what was added, removed, redrawn, renamed, moved to another parent.

import { announce, make } from "../console/dom.js";
import { number, t } from "../console/texts.js";
import { swatch } from "./overlay.js";
import { compareVersions, listCells } from "./service.js";
import { area, levelName, titleOf } from "./words.js";

/** @typedef {import("./types.js").CellFeature} CellFeature */
/** @typedef {import("./types.js").Difference} Difference */
/** @typedef {import("./types.js").DifferenceKind} DifferenceKind */
/** @typedef {import("./desk.js").Desk} Desk */

/** @type {[DifferenceKind, string][]} kind and pattern, in the order of the list */
const KINDS = [["added", "plus"], ["removed", "times"], ["redrawn", "diagonal"], ["reparented", "stripes"], ["renamed", "dots"]];
/** A list longer than this is not read by anybody; its head and its count are. */
const MOST_SHOWN = 300;

export class CompareView {
  #desk;
  /** @type {number|null} */
  #other = null;
  #result = make("div");

  /** @param {Desk} desk */
  constructor(desk) {
    this.#desk = desk;
    this.#result.setAttribute("aria-live", "polite");
  }

  /**
   * @param {HTMLElement} pane
   * @param {AbortSignal} signal
   */
  async show(pane, signal) {
    const version = this.#desk.version;
    if (!version) return;
    const others = this.#desk.versions.filter((one) => one.number !== version.number);
    if (!others.length) {
      pane.replaceChildren(make("p", "quiet", t("grid_page.compare.only_one")));
      return;
    }
    const field = make("label", "field", t("grid_page.compare.with"));
    const select = make("select");
    for (const one of others) {
      const option = make("option", "", `${titleOf(one)} · ${t(`grid_page.status.${one.status}`)} ${one.name}`);
      option.value = String(one.number);
      select.append(option);
    }
    const first = others.find((one) => one.number === this.#other) ?? others.find((one) => one.number === version.based_on) ?? others[0];
    this.#other = first?.number ?? null;
    select.value = String(this.#other);
    select.addEventListener("change", () => {
      this.#other = Number(select.value);
      void this.#desk.showTab("compare");
    });
    field.append(select);
    this.#result.replaceChildren();
    pane.replaceChildren(field, this.#result);
    if (this.#other !== null) await this.#compare(this.#other, version.number, signal);
  }

  leave() {
    this.#desk.overlay.clear("differences");
    this.#desk.overlay.clear("chosen");
    this.#desk.legend([]);
  }

  /**
   * @param {number} before the other version
   * @param {number} after the one shown
   * @param {AbortSignal} signal
   */
  async #compare(before, after, signal) {
    const [differences, former] = await Promise.all([compareVersions(before, after, signal), listCells(before, signal)]);
    if (signal.aborted) return;
    /** @type {Map<string, CellFeature>} */
    const was = new Map(former.features.map((cell) => [cell.properties.code, cell]));
    const shapeOf = (/** @type {string} */ code) => this.#desk.ground.get(code) ?? was.get(code);
    if (!differences.length) {
      this.#result.replaceChildren(make("h2", "proven", t("grid_page.compare.same", { number: before })));
      return;
    }
    /** @type {HTMLElement[]} */
    const parts = [make("h2", "", t("grid_page.compare.title", { before, after, count: number(differences.length) }))];
    const marks = [];
    /** @type {[SVGSVGElement, string][]} */
    const legend = [];
    for (const [kind, fill] of KINDS) {
      const group = differences.filter((one) => one.kind === kind);
      if (!group.length) continue;
      const word = t(`grid_page.compare.${kind}`);
      legend.push([swatch(kind, fill), `${word} ${number(group.length)}`]);
      const title = make("h3", "difference-kind");
      title.append(swatch(kind, fill), make("span", "", `${word} ${number(group.length)}`));
      const list = make("ol", "findings");
      list.append(...group.slice(0, MOST_SHOWN).map((one) => this.#row(one, shapeOf(one.code))));
      parts.push(title, list);
      if (group.length > MOST_SHOWN) parts.push(make("p", "quiet", t("grid_page.coverage.more", { shown: MOST_SHOWN, count: number(group.length) })));
      for (const one of group) {
        const cell = kind === "removed" ? was.get(one.code) : shapeOf(one.code);
        // Of a redrawn cell, what came and what went is more telling than the whole.
        if (one.gained || one.lost) {
          if (one.gained) marks.push({ geometry: one.gained, look: kind, fill });
          if (one.lost) marks.push({ geometry: one.lost, look: "removed" });
        } else if (cell) marks.push({ geometry: cell.geometry, look: kind, fill });
      }
    }
    this.#desk.overlay.set("differences", marks);
    this.#desk.ground.zoomTo(differences.flatMap((one) => shapeOf(one.code) ?? []));
    this.#desk.legend(legend);
    this.#result.replaceChildren(...parts);
    announce(t("grid_page.compare.title", { before, after, count: number(differences.length) }));
  }

  /**
   * @param {Difference} one
   * @param {CellFeature|undefined} cell
   */
  #row(one, cell) {
    const item = make("li");
    const row = make("button", "finding difference");
    row.type = "button";
    const head = make("span", "finding-head");
    head.append(make("bdi", "finding-class typed", cell?.properties.name ?? one.code), make("span", "quiet", `${levelName(one.level)} ${one.code}`));
    if (one.changed_m2 !== null) head.append(make("span", "finding-area", area(one.changed_m2)));
    row.append(head);
    if (one.before !== null || one.after !== null) {
      const text = make("span", "finding-text difference-text");
      text.append(make("bdi", "was", one.before ?? "–"), make("span", "", " → "), make("bdi", "", one.after ?? "–"));
      row.append(text);
    }
    row.addEventListener("click", () => {
      if (!cell) return;
      this.#desk.overlay.set("chosen", [{ geometry: cell.geometry, look: "chosen" }]);
      this.#desk.ground.zoomTo([cell]);
      for (const other of this.#result.querySelectorAll(".finding")) other.toggleAttribute("data-chosen", other === row);
    });
    item.append(row);
    return item;
  }
}
