// Offered repairs of a draft: looked at on the map first, chosen one by one, taken as one change that can be undone.

import { latLngOf } from "../console/lonlat.js";
import { announce, make } from "../console/dom.js";
import { number, t } from "../console/texts.js";
import { faultPlace, showFault } from "./forms.js";
import { swatch } from "./overlay.js";
import { button } from "./overview.js";
import { applyRepairs, getRepairs } from "./service.js";
import { area, levelName } from "./words.js";

/** @typedef {import("./types.js").Repair} Repair */
/** @typedef {import("./types.js").Version} Version */

const GROUP = "repairs";

export class RepairsView {
  #desk;
  /** @type {HTMLElement} */
  #box = make("section", "repairs");
  /** @type {Set<string>} */
  #chosen = new Set();

  /** @param {import("./desk.js").Desk} desk */
  constructor(desk) {
    this.#desk = desk;
  }

  /**
   * @param {Version} version
   * @param {AbortSignal} signal
   * @returns {HTMLElement} what stands above the findings; nothing is worked out before somebody asks
   */
  make(version, signal) {
    const ask = button(t("grid_page.repairs.show"), () => void this.#load(version, signal, ask));
    ask.dataset.repairs = "";
    this.#box = make("section", "repairs");
    this.#box.append(make("p", "quiet", t("grid_page.repairs.about")), ask);
    return this.#box;
  }

  leave() {
    this.#desk.overlay.clear(GROUP);
  }

  /**
   * @param {Version} version
   * @param {AbortSignal} signal
   * @param {HTMLButtonElement} ask
   */
  async #load(version, signal, ask) {
    ask.disabled = true;
    ask.setAttribute("aria-busy", "true");
    try {
      const found = await getRepairs(version, signal);
      if (!signal.aborted) this.#show(version, found.features.map((feature) => ({ ...feature.properties, geometry: feature.geometry })), found.matched);
    } catch (fault) {
      if (signal.aborted) return;
      ask.disabled = false;
      ask.removeAttribute("aria-busy");
      this.#fault(fault);
    }
  }

  /**
   * @param {Version} version
   * @param {Repair[]} repairs
   * @param {number} matched
   */
  #show(version, repairs, matched) {
    const title = make("h2", "", repairs.length ? t("grid_page.repairs.offered", { count: number(matched) }) : t("grid_page.repairs.none"));
    title.tabIndex = -1;
    this.#box.replaceChildren(title);
    title.focus();
    announce(title.textContent ?? "");
    if (!repairs.length) {
      this.#box.append(make("p", "quiet", t("grid_page.repairs.none_why")));
      return;
    }
    this.#chosen = new Set(repairs.map((repair) => repair.id));
    const apply = button("", () => void this.#apply(version, apply), "button-primary");
    apply.dataset.applyRepairs = "";
    const count = () => {
      apply.textContent = t("grid_page.repairs.apply", { count: number(this.#chosen.size) });
      apply.disabled = this.#chosen.size === 0;
    };
    count();
    const list = make("ul", "findings");
    list.append(...repairs.map((repair) => this.#row(repair, count)));
    const moves = make("div", "move-row");
    moves.append(apply);
    this.#box.append(make("p", "quiet", t("grid_page.repairs.how")), list, faultPlace(), moves);
    if (matched > repairs.length) this.#box.append(make("p", "quiet", t("grid_page.coverage.more", { shown: number(repairs.length), count: number(matched) })));
    this.#desk.overlay.set(GROUP, repairs.map((repair) => ({ geometry: repair.geometry, look: "added", fill: "plus", label: String(repair.number), at: repair.position, click: () => this.#zoom(repair) })));
  }

  /**
   * @param {Repair} repair
   * @param {() => void} count
   */
  #row(repair, count) {
    const item = make("li", "repair");
    const box = make("label", "choice");
    const control = make("input");
    control.type = "checkbox";
    control.checked = true;
    control.value = repair.id;
    control.addEventListener("change", () => {
      if (control.checked) this.#chosen.add(repair.id);
      else this.#chosen.delete(repair.id);
      count();
    });
    const head = make("span", "finding-head");
    head.append(make("span", "finding-number", String(repair.number)), swatch("added", "plus"), make("span", "finding-class", t(`grid_page.repairs.kind.${repair.kind}`)), make("span", "finding-area", area(repair.moved_m2)));
    box.append(control, head);
    const where = button(t("grid_page.repairs.where"), () => this.#zoom(repair), "button-quiet");
    where.setAttribute("aria-label", `${t("grid_page.repairs.where")} ${repair.number}`);
    const cells = make("ul", "repair-cells");
    for (const cell of repair.cells) {
      const line = make("li");
      line.append(make("span", "quiet", `${levelName(cell.level)} `), make("bdi", "", cell.code), make("span", "", `${cell.gained_m2 ? ` +${area(cell.gained_m2)}` : ""}${cell.lost_m2 ? ` −${area(cell.lost_m2)}` : ""}`));
      cells.append(line);
    }
    item.append(box, make("bdi", "finding-text", repair.sentence), cells, where);
    return item;
  }

  /** @param {Repair} repair */
  #zoom(repair) {
    const [west, south, east, north] = repair.bbox;
    this.#desk.lookAt(L.latLngBounds(latLngOf([west, south]), latLngOf([east, north])));
  }

  /**
   * @param {Version} version
   * @param {HTMLButtonElement} apply
   */
  async #apply(version, apply) {
    apply.disabled = true;
    try {
      const done = await applyRepairs(version, [...this.#chosen]);
      announce(t("grid_page.repairs.done", { count: number(done.applied.length), findings: number(done.after.findings) }));
      await this.#desk.refresh();
    } catch (fault) {
      apply.disabled = false;
      this.#fault(fault);
    }
  }

  /** @param {unknown} fault */
  #fault(fault) {
    if (!this.#box.querySelector("[data-fault]") && !this.#box.querySelector(".field-fault")) this.#box.append(faultPlace());
    showFault(this.#box, fault);
  }
}
