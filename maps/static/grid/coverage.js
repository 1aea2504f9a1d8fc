// The coverage report: findings worst first, on the map and in the list at once.

import { latLngOf } from "../console/lonlat.js";
import { announce, make } from "../console/dom.js";
import { number, t } from "../console/texts.js";
import { swatch } from "./overlay.js";
import { RepairsView } from "./repairs.js";
import { getCoverage } from "./service.js";
import { area, config } from "./words.js";

/** @typedef {import("./types.js").Coverage} Coverage */
/** @typedef {import("./types.js").CodeFaults} CodeFaults */
/** @typedef {import("./types.js").Finding} Finding */
/** @typedef {import("./desk.js").Desk} Desk */

/** Pattern of each class; the word stands beside it in legend and list. */
const FILLS = /** @type {Record<string, string>} */ ({
  gap: "diagonal", open_slit: "diagonal", overlap: "cross", outside: "dots", hole: "grey", undivided: "grey", unmatched: "stripes",
  invalid_ring: "times", duplicate_code: "plus", orphan: "stripes",
});
/** More numbers than this on the map hide each other; the list goes on. */
const MOST_NUMBERED = 200;

/** @param {string} kind */
const signOf = (kind) => swatch(kind, FILLS[kind] ?? "grey");

export class CoverageView {
  #desk;
  /** @type {HTMLElement|null} */
  #list = null;
  #repairs;

  /** @param {Desk} desk */
  constructor(desk) {
    this.#desk = desk;
    this.#repairs = new RepairsView(desk);
  }

  /**
   * @param {HTMLElement} pane
   * @param {AbortSignal} signal
   */
  async show(pane, signal) {
    const version = this.#desk.version;
    if (!version) return;
    const report = await getCoverage(version.number, signal);
    if (signal.aborted) return;
    this.#draw(report);
    // Wherever somebody looked before: the problems of the whole version are to be seen.
    if (report.features.length) this.#desk.ground.fit();
    const figures = report.coverage;
    const found = report.features.length;
    const head = make("div", "pane-head");
    if (figures.is_proven && !found) {
      const said = t(report.codes.count ? "grid_page.coverage.proven_but" : "grid_page.coverage.proven");
      head.append(make("h2", report.codes.count ? "" : "proven", said), make("p", "quiet", t("grid_page.coverage.proven_why", { families: number(figures.families) })));
      pane.replaceChildren(head, ...this.#codes(report.codes));
      announce(said);
      return;
    }
    head.append(
      make("h2", "", t(figures.is_proven ? "grid_page.coverage.notices_only" : "grid_page.coverage.found", { count: number(figures.findings) })),
      make("p", "quiet", t("grid_page.coverage.order", { tolerance: area(figures.tolerance_m2) })),
    );
    if (figures.below_tolerance) head.append(make("p", "quiet", t("grid_page.coverage.below", { count: number(figures.below_tolerance) })));
    const legend = make("ul", "classes");
    for (const [kind, sum] of Object.entries(figures.by_class)) {
      const item = make("li");
      item.append(signOf(kind), make("span", "", t(`coverage.class.${kind}`)), make("span", "quiet", t("grid_page.coverage.sum", { count: number(sum.count), area: area(sum.area_m2) })));
      legend.append(item);
    }
    const list = make("ol", "findings");
    list.append(...report.features.map((feature) => this.#row(feature.properties)));
    this.#list = list;
    const offers = version.status === "draft" && config.may_write && found ? [this.#repairs.make(version, signal)] : [];
    pane.replaceChildren(head, legend, ...this.#codes(report.codes), ...offers, list);
    if (report.matched > found) pane.append(make("p", "quiet pane-foot", t("grid_page.coverage.more", { shown: number(found), count: number(report.matched) })));
  }

  /**
   * Cells with a code that breaks the code system: no question of land, but they stop activation like a gap does.
   * @param {CodeFaults} codes
   * @returns {HTMLElement[]}
   */
  #codes(codes) {
    if (!codes.count) return [];
    const box = make("section", "code-faults");
    const list = make("ol", "findings");
    for (const fault of codes.faults) {
      const item = make("li");
      const row = make("button", "finding");
      row.type = "button";
      row.append(make("bdi", "finding-text", fault.detail));
      row.addEventListener("click", () => {
        const cell = this.#desk.ground.get(fault.cell);
        if (!cell) return;
        this.#desk.select(cell);
        this.#desk.lookAt(L.geoJSON(cell.geometry).getBounds());
      });
      item.append(row);
      list.append(item);
    }
    box.append(make("h2", "", t("grid_page.coverage.codes", { count: number(codes.count) })), make("p", "quiet", t("grid_page.coverage.codes_why")), list);
    if (codes.count > codes.faults.length) box.append(make("p", "quiet", t("grid_page.coverage.more", { shown: number(codes.faults.length), count: number(codes.count) })));
    return [box];
  }

  leave() {
    this.#repairs.leave();
    this.#desk.overlay.clear("findings");
    this.#desk.legend([]);
  }

  /** @param {Coverage} report */
  #draw(report) {
    // The worst is drawn last, on top.
    const marks = [...report.features].reverse().map((feature) => {
      const finding = feature.properties;
      return {
        geometry: feature.geometry, look: finding.class, fill: FILLS[finding.class] ?? "grey", click: () => this.#choose(finding, false),
        ...(finding.number <= MOST_NUMBERED ? { label: String(finding.number), at: finding.position } : {}),
      };
    });
    this.#desk.overlay.set("findings", marks);
    this.#desk.legend(Object.keys(report.coverage.by_class).map((kind) => [signOf(kind), t(`coverage.class.${kind}`)]));
  }

  /** @param {Finding} finding */
  #row(finding) {
    const item = make("li");
    const row = make("button", "finding");
    row.type = "button";
    row.dataset.number = String(finding.number);
    const severity = make("span", "severity", t(`coverage.severity.${finding.severity}`));
    severity.dataset.severity = finding.severity;
    const head = make("span", "finding-head");
    head.append(make("span", "finding-number", String(finding.number)), signOf(finding.class), make("span", "finding-class", t(`coverage.class.${finding.class}`)), severity);
    if (finding.is_sliver) head.append(make("span", "quiet", t("grid_page.coverage.sliver")));
    head.append(make("span", "finding-area", area(finding.area_m2)));
    row.append(head, make("bdi", "finding-text", finding.sentence));
    row.addEventListener("click", () => this.#choose(finding, true));
    item.append(row);
    return item;
  }

  /**
   * @param {Finding} finding
   * @param {boolean} zoom
   */
  #choose(finding, zoom) {
    for (const row of this.#list?.querySelectorAll(".finding") ?? []) {
      const same = row instanceof HTMLElement && row.dataset.number === String(finding.number);
      row.toggleAttribute("data-chosen", same);
      if (same) row.scrollIntoView({ block: "nearest" });
    }
    if (!zoom) return;
    const [west, south, east, north] = finding.bbox;
    const bounds = L.latLngBounds(latLngOf([west, south]), latLngOf([east, north]));
    this.#desk.lookAt(bounds);
  }
}
