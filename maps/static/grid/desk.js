// The page's state: which version, which tab, which cell; keeps list, map, panel and address in step.

import { announce, byId, make } from "../console/dom.js";
import { makeMap } from "../console/map.js";
import { context, t } from "../console/texts.js";
import { ActivationView } from "./activation.js";
import { CompareView } from "./compare.js";
import { CoverageView } from "./coverage.js";
import { LineTool } from "./draw.js";
import { Ground } from "./ground.js";
import { showListState, showVersions, statusOf } from "./list.js";
import { Overlay } from "./overlay.js";
import { button, OverviewView, reasonOf } from "./overview.js";
import { RedrawView } from "./redraw.js";
import { listVersions } from "./service.js";
import { config, levelName, titleOf } from "./words.js";

/** @typedef {import("./types.js").CellFeature} CellFeature */
/** @typedef {import("./types.js").Tab} Tab */
/** @typedef {import("./types.js").Version} Version */
/** @typedef {{show: (pane: HTMLElement, signal: AbortSignal) => Promise<void>, leave: () => void, selected?: (cell: CellFeature|null) => void}} View */

/** @type {Tab[]} */
const READ = ["overview", "coverage", "compare"];
/** @type {Tab[]} */
const WRITE = ["redraw", "activate"];
/** Deeper levels with more cells than this are not the first thing to work on. */
const MANY = 5000;

export class Desk {
  /** @type {Version[]} */
  versions = [];
  /** @type {Version|null} */
  version = null;
  /** @type {CellFeature|null} */
  selected = null;
  level = 1;
  /** @type {((cell: CellFeature) => void)|null} who takes the next click on a cell instead of the selection */
  picking = null;
  /** @type {number|null} the level that click is meant for; null means the one worked on */
  pickingLevel = null;
  map = makeMap(() => this.ground.fit());
  ground = new Ground(this.map);
  overlay = new Overlay(this.map);
  line = new LineTool(this.map);
  /** @type {Tab} */
  #tab = "overview";
  /** @type {Record<Tab, View>} */
  #views;
  #abort = new AbortController();
  #paneAbort = new AbortController();

  constructor() {
    this.#views = {
      overview: new OverviewView(this), coverage: new CoverageView(this), compare: new CompareView(this),
      redraw: new RedrawView(this), activate: new ActivationView(this),
    };
    const pick = (/** @type {{latlng: L.LatLng}} */ event) => this.#pick(event.latlng);
    this.map.on("click", pick);
    // @ts-expect-error Our own event: a cell picked with the keyboard.
    this.map.on("pick", pick);
    document.documentElement.addEventListener("themechange", () => this.ground.repaint());
    window.addEventListener("popstate", () => void this.#fromAddress());
  }

  async start() {
    await this.#list();
    await this.#fromAddress();
    document.documentElement.dataset.ready = "";
  }

  /**
   * Read the list anew and open a version.
   * @param {number|null} number None opens the one valid now
   * @param {Tab} tab
   */
  async reload(number, tab) {
    await this.#list();
    await this.open(number, tab, "push");
  }

  /** After a change of the draft: list, cells and panel anew, the map's view stays. */
  async refresh() {
    const tab = this.#tab;
    const number = this.version?.number ?? null;
    const code = this.selected?.properties.code ?? null;
    await this.#list();
    await this.#load(this.versions.find((one) => one.number === number) ?? null, false);
    await this.showTab(tab);
    this.select(code ? this.ground.get(code) ?? null : null);
  }

  /**
   * @param {number|null} number
   * @param {Tab} tab
   * @param {"push"|"stay"} address
   */
  async open(number, tab, address) {
    const wanted = number ?? this.versions.find((one) => one.status === "active")?.number ?? this.versions[0]?.number ?? null;
    const version = this.versions.find((one) => one.number === wanted) ?? null;
    if (version && address === "push") history.pushState(null, "", `${context.root}/grid/versions/${version.number}${location.search}`);
    // The panel takes its place first: the map is fitted to what is left.
    byId("work").hidden = version === null;
    this.map.invalidateSize({ animate: false });
    await this.#load(version, true);
    if (!version && wanted !== null) this.#mapState(t("grid_page.version_unknown", { number: wanted }));
    if (version) await this.showTab(this.#tabsOf(version).includes(tab) ? tab : "overview");
  }

  /** @param {Tab} tab */
  async showTab(tab) {
    this.#leave();
    this.#tab = tab;
    this.#drawTabs();
    this.#remember();
    const pane = byId("pane");
    pane.replaceChildren();
    pane.setAttribute("aria-labelledby", `tab-${tab}`);
    const abort = (this.#paneAbort = new AbortController());
    // Below what a view shows already: a view that fills its own parts must find them still in their place.
    const wait = make("p", "quiet pane-wait", t(`grid_page.wait.${tab}`));
    const waiting = setTimeout(() => pane.append(wait), 300);
    pane.setAttribute("aria-busy", "true");
    try {
      await this.#views[tab].show(pane, abort.signal);
    } catch (fault) {
      if (abort.signal.aborted) return;
      const state = make("div", "pane-state");
      state.append(make("p", "state-title", t(`grid_page.failed.${tab}`)), make("p", "fault", reasonOf(fault)), button(t("grid_page.retry"), () => void this.showTab(tab)));
      state.setAttribute("role", "alert");
      pane.replaceChildren(state);
    } finally {
      clearTimeout(waiting);
      wait.remove();
      if (!abort.signal.aborted) pane.removeAttribute("aria-busy");
    }
  }

  /** @param {CellFeature|null} cell */
  select(cell) {
    this.selected = cell;
    this.overlay.set("selected", cell ? [{ geometry: cell.geometry, look: "selected" }] : []);
    this.#views[this.#tab].selected?.(cell);
    if (cell) announce(t("grid_page.cell.selected", { name: cell.properties.name, code: cell.properties.code }));
  }

  /**
   * Show a place; on a narrow screen the map stands above the panel and comes back into sight.
   * @param {L.LatLngBounds} bounds
   */
  lookAt(bounds) {
    this.map.fitBounds(bounds, { padding: [96, 96], maxZoom: 19, animate: false });
    byId("map").scrollIntoView({ block: "nearest" });
  }

  /** @param {number} level */
  setLevel(level) {
    this.level = level;
    this.ground.emphasise(level);
    for (const input of byId("level-switch").querySelectorAll("input")) input.checked = Number(input.value) === level;
  }

  /** @param {[SVGSVGElement, string][]} items sign and word */
  legend(items) {
    byId("legend").replaceChildren(
      ...items.map(([sign, word]) => {
        const item = make("span", "legend-item");
        item.append(sign, make("span", "", word));
        return item;
      }),
    );
  }

  // --- versions and cells --------------------------------------------------------------------------------------------

  async #list() {
    try {
      this.versions = await listVersions();
      if (this.versions.length) showListState(null);
      else showListState(t("grid_page.versions.empty"), t("grid_page.versions.empty_how"));
    } catch (fault) {
      showListState(t("grid_page.versions.failed"), reasonOf(fault), () => void this.start());
    }
  }

  async #fromAddress() {
    const found = /\/grid\/versions\/(\d+)/.exec(location.pathname);
    const tab = /** @type {Tab} */ (new URLSearchParams(location.search).get("tab") ?? "overview");
    await this.open(found ? Number(found[1]) : null, tab, "stay");
  }

  /**
   * @param {Version|null} version
   * @param {boolean} fit whether the map goes to the whole version
   */
  async #load(version, fit) {
    this.#leave();
    this.#abort.abort();
    const abort = (this.#abort = new AbortController());
    this.version = version;
    this.selected = null;
    this.overlay.clearAll();
    this.#drawHead();
    showVersions(this.versions, version?.number ?? null, (number) => void this.open(number, this.#tab, "push"));
    this.#mapState(null);
    if (!version) {
      this.ground.clear();
      byId("level-switch").hidden = true;
      return;
    }
    const waiting = setTimeout(() => this.#mapState(t("grid_page.map.loading")), 300);
    try {
      await this.ground.load(version, abort.signal);
      this.#mapState(this.ground.levels.length ? null : t("grid_page.map.no_cells"));
      this.#drawLevels(fit);
      if (fit) this.ground.fit();
    } catch (fault) {
      if (abort.signal.aborted) return;
      this.ground.clear();
      this.#mapState(t("grid_page.map.failed", { reason: reasonOf(fault) }));
    } finally {
      clearTimeout(waiting);
    }
  }

  /** @param {string|null} text */
  #mapState(text) {
    const state = byId("map-state");
    state.hidden = text === null;
    state.textContent = text ?? "";
  }

  /** @param {boolean} anew */
  #drawLevels(anew) {
    const box = byId("level-switch");
    const levels = this.ground.levels;
    box.hidden = levels.length < 2;
    box.replaceChildren(
      ...levels.map((level) => {
        const label = make("label", "level-choice");
        const input = make("input");
        input.type = "radio";
        input.name = "level";
        input.value = String(level);
        input.addEventListener("change", () => this.setLevel(level));
        label.append(input, make("span", "", levelName(level)));
        return label;
      }),
    );
    const small = levels.filter((level) => (this.version?.cells[level] ?? 0) <= MANY);
    const keep = !anew && levels.includes(this.level);
    if (levels.length) this.setLevel(keep ? this.level : small.at(-1) ?? levels[0] ?? 1);
  }

  /** @param {L.LatLng} at */
  #pick(at) {
    if (this.line.isActive) return;
    const cell = this.ground.at(at.lng, at.lat, (this.picking && this.pickingLevel) || this.level);
    if (!this.picking) this.select(cell);
    else if (cell) this.picking(cell);
  }

  // --- panel -----------------------------------------------------------------------------------------------------------

  /**
   * @param {Version} version
   * @returns {Tab[]}
   */
  #tabsOf(version) {
    return version.status === "draft" && config.may_write ? [...READ, ...WRITE] : READ;
  }

  #leave() {
    this.#paneAbort.abort();
    this.line.stop();
    this.picking = null;
    this.#views[this.#tab].leave();
  }

  #drawHead() {
    const version = this.version;
    if (!version) return;
    const title = make("h2", "");
    title.append(make("span", "", titleOf(version)), make("bdi", "version-name", version.name));
    byId("work-head").replaceChildren(title, statusOf(version));
  }

  #drawTabs() {
    const version = this.version;
    if (!version) return;
    const tabs = this.#tabsOf(version);
    const box = byId("tabs");
    const held = box.contains(document.activeElement);
    box.replaceChildren(
      ...tabs.map((tab, index) => {
        const one = make("button", "tab", t(`grid_page.tab.${tab}`));
        one.type = "button";
        one.id = `tab-${tab}`;
        one.setAttribute("role", "tab");
        one.setAttribute("aria-selected", String(tab === this.#tab));
        one.setAttribute("aria-controls", "pane");
        one.tabIndex = tab === this.#tab ? 0 : -1;
        one.addEventListener("click", () => void this.showTab(tab));
        one.addEventListener("keydown", (event) => {
          const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
          const next = tabs[(index + step + tabs.length) % tabs.length];
          if (!step || !next) return;
          event.preventDefault();
          void this.showTab(next);
        });
        return one;
      }),
    );
    if (held) byId(`tab-${this.#tab}`).focus();
  }

  /** Every view has an address: reload, bookmark and the language link lead back to it. */
  #remember() {
    const url = new URL(location.href);
    url.searchParams.delete("lang");
    if (this.#tab === "overview") url.searchParams.delete("tab");
    else url.searchParams.set("tab", this.#tab);
    history.replaceState(null, "", url);
    const link = byId("language");
    const other = new URL(url);
    other.searchParams.set("lang", link.dataset.lang ?? "en");
    link.setAttribute("href", `${other.pathname}${other.search}`);
  }
}
