// Redrawing a draft: choose a cell, choose what to do, see what would become of it, then apply.

import { announce, byId, make } from "../console/dom.js";
import { number, t } from "../console/texts.js";
import { clearFaults, faultPlace, field, select, showFault } from "./forms.js";
import { swatch } from "./overlay.js";
import { button } from "./overview.js";
import { applyChange, listLineage, previewChange, undoChange } from "./service.js";
import { formOf, TOOLS } from "./tools.js";
import { area, levelName } from "./words.js";

/** @typedef {import("./types.js").CellFeature} CellFeature */
/** @typedef {import("./types.js").Change} Change */
/** @typedef {import("./types.js").Descent} Descent */
/** @typedef {import("./types.js").Preview} Preview */
/** @typedef {import("./types.js").Tool} Tool */
/** @typedef {import("./desk.js").Desk} Desk */

/** A longer list is slow to open and read by nobody: cells beyond it are chosen on the map. */
const MOST_LISTED = 2000;
const PATTERNS = ["first", "second"];

export class RedrawView {
  #desk;
  #chooser = make("div");
  #tools = make("div", "tools-list");
  #form = make("form", "form");
  /** @type {Tool|null} */
  #tool = null;

  /** @param {Desk} desk */
  constructor(desk) {
    this.#desk = desk;
    this.#tools.setAttribute("role", "group");
    this.#tools.setAttribute("aria-label", t("grid_page.redraw.tools"));
    this.#form.addEventListener("submit", (event) => event.preventDefault());
    // A preview of something else than what is typed would be worse than none.
    this.#form.addEventListener("input", () => this.#clearPreview());
  }

  /**
   * @param {HTMLElement} pane
   * @param {AbortSignal} signal
   */
  async show(pane, signal) {
    const version = this.#desk.version;
    if (!version) return;
    const past = await listLineage(version.number, signal);
    if (signal.aborted) return;
    const undo = button(t("grid_page.redraw.undo"), () => void this.#undo(undo));
    undo.dataset.undo = "";
    undo.disabled = past.undoable === 0;
    pane.replaceChildren(make("p", "quiet", t("grid_page.redraw.intro")), this.#chooser, this.#tools, this.#form);
    pane.append(make("p", "quiet pane-section", t("grid_page.redraw.undo_how", { count: number(past.undoable) })));
    pane.append(undo, history(past.lineage));
    this.selected(this.#desk.selected);
  }

  /** @param {HTMLButtonElement} undo */
  async #undo(undo) {
    const version = this.#desk.version;
    if (!version) return;
    undo.disabled = true;
    clearFaults(this.#form);
    try {
      const done = await undoChange(version);
      this.#stop();
      await this.#desk.refresh();
      this.#desk.select(null);
      announce(t("grid_page.redraw.undone", { what: t(`grid_page.tool.${done.undone.operation}`) }));
      /** @type {HTMLElement|null} */ (document.querySelector("[data-undo]:enabled"))?.focus();
    } catch (fault) {
      undo.disabled = false;
      if (!this.#form.querySelector(".form-fault")) this.#form.replaceChildren(faultPlace());
      showFault(this.#form, fault);
    }
  }

  leave() {
    this.#stop();
  }

  /** @param {CellFeature|null} cell */
  selected(cell) {
    this.#stop();
    this.#drawChooser(cell);
    this.#drawTools(cell);
  }

  /** @param {CellFeature|null} cell */
  #drawChooser(cell) {
    const cells = this.#desk.ground.ofLevel(this.#desk.level).sort((a, b) => a.properties.code.localeCompare(b.properties.code));
    /** @type {[string, string][]} */
    const options = cells.slice(0, MOST_LISTED).map((one) => [one.properties.code, `${one.properties.code} ${one.properties.name}`]);
    if (cell && !options.some(([code]) => code === cell.properties.code)) options.unshift([cell.properties.code, `${cell.properties.code} ${cell.properties.name}`]);
    const list = select([["", t("grid_page.redraw.choose")], ...options], cell?.properties.code ?? "");
    list.addEventListener("change", () => {
      const chosen = this.#desk.ground.get(list.value) ?? null;
      this.#desk.select(chosen);
      if (chosen) this.#desk.ground.zoomTo([chosen]);
      /** @type {HTMLElement|null} */ (this.#chooser.querySelector("select"))?.focus();
    });
    this.#chooser.replaceChildren(field(t("grid_page.redraw.cell", { level: levelName(cell?.properties.level ?? this.#desk.level) }), list, ""));
    if (cell) this.#chooser.append(make("p", "quiet", `${levelName(cell.properties.level)} · ${area(cell.properties.area_m2)}`));
  }

  /** @param {CellFeature|null} cell */
  #drawTools(cell) {
    this.#tools.replaceChildren(
      ...TOOLS.map((tool) => {
        const one = button(t(`grid_page.tool.${tool}`), () => this.#start(tool));
        one.dataset.tool = tool;
        one.setAttribute("aria-pressed", String(tool === this.#tool));
        one.disabled = cell === null || (tool === "reassign" && cell.properties.level < 2);
        return one;
      }),
    );
  }

  /** @param {Tool} tool */
  #start(tool) {
    const cell = this.#desk.selected;
    if (!cell) return;
    this.#stop();
    this.#tool = tool;
    for (const one of this.#tools.children) one.setAttribute("aria-pressed", String(/** @type {HTMLElement} */ (one).dataset.tool === tool));
    const made = formOf(tool, this.#desk, cell, { ready: () => void this.#preview(made.change()), cancelled: () => this.#restart() });
    const moves = make("div", "move-row");
    moves.append(button(t("grid_page.redraw.preview"), () => void this.#preview(made.change())), button(t("grid_page.redraw.cancel"), () => this.#restart()));
    const result = make("div", "preview-place");
    result.setAttribute("aria-live", "polite");
    this.#form.replaceChildren(make("h2", "", t(`grid_page.tool.${tool}`)), make("p", "quiet", t(`grid_page.tool_how.${tool}`)), ...made.fields, faultPlace(), moves, result);
    made.begin();
  }

  #restart() {
    const tool = this.#tool;
    this.#stop();
    /** @type {HTMLElement|null} */ (this.#tools.querySelector(`[data-tool="${tool}"]`))?.focus();
  }

  #stop() {
    this.#tool = null;
    this.#desk.line.stop();
    this.#desk.picking = null;
    byId("map").classList.remove("is-picking");
    for (const group of ["preview", "partner", "line"]) this.#desk.overlay.clear(group);
    this.#desk.legend([]);
    this.#form.replaceChildren();
    for (const one of this.#tools.children) one.setAttribute("aria-pressed", "false");
  }

  #clearPreview() {
    this.#form.querySelector(".preview-place")?.replaceChildren();
    this.#desk.overlay.clear("preview");
    this.#desk.legend([]);
    clearFaults(this.#form);
  }

  /** @param {Change|null} change null while something is still missing */
  async #preview(change) {
    const version = this.#desk.version;
    if (!version) return;
    this.#clearPreview();
    if (!change) {
      showFault(this.#form, new Error(t(`grid_page.tool_missing.${this.#tool}`)));
      return;
    }
    const tool = this.#tool;
    try {
      const preview = await previewChange(version, change);
      if (tool === this.#tool) this.#showPreview(change, preview);
    } catch (fault) {
      if (tool === this.#tool) showFault(this.#form, fault);
    }
  }

  /**
   * @param {Change} change
   * @param {Preview} preview
   */
  #showPreview(change, preview) {
    const box = make("div", "preview");
    const list = make("ul");
    const marks = preview.cells.map((cell, index) => {
      const fill = PATTERNS[index % 2] ?? "first";
      const item = make("li");
      const is = cell.properties;
      item.append(swatch(fill, fill), make("bdi", "finding-class typed", is.name), make("span", "quiet", is.code), make("span", "finding-area", area(is.area_m2)));
      list.append(item);
      return { geometry: cell.geometry, look: fill, fill, label: is.code.slice(-3), at: is.label };
    });
    for (const gone of preview.removed) {
      const item = make("li");
      item.append(swatch("removed", "times"), make("bdi", "typed was", gone.name), make("span", "quiet", gone.code), make("span", "quiet", t("grid_page.redraw.gone")));
      list.append(item);
    }
    this.#desk.overlay.set("preview", marks);
    const apply = button(t("grid_page.redraw.apply"), () => void this.#apply(change, apply), "button-primary");
    apply.dataset.apply = "";
    box.append(make("h3", "", t("grid_page.redraw.becomes")), list);
    if (preview.below) box.append(make("p", "quiet", t("grid_page.redraw.below", { count: number(preview.below) })));
    box.append(apply);
    this.#form.querySelector(".preview-place")?.replaceChildren(box);
    box.scrollIntoView({ block: "nearest" });
    apply.focus({ preventScroll: true });
  }

  /**
   * @param {Change} change
   * @param {HTMLButtonElement} apply
   */
  async #apply(change, apply) {
    const version = this.#desk.version;
    if (!version) return;
    apply.disabled = true;
    try {
      const done = await applyChange(version, change);
      this.#stop();
      await this.#desk.refresh();
      const first = done.cells[0]?.properties.code;
      this.#desk.select(first ? this.#desk.ground.get(first) ?? null : null);
      announce(t("grid_page.redraw.applied", { what: t(`grid_page.tool.${change.operation}`) }));
    } catch (fault) {
      apply.disabled = false;
      showFault(this.#form, fault);
    }
  }
}

/**
 * What was done to this draft, the last first: which cell became which, and how much of it.
 * @param {Descent[]} lineage
 * @returns {HTMLElement}
 */
function history(lineage) {
  const list = make("ol", "history");
  /** @type {Map<number, Descent[]>} */
  const changes = new Map();
  for (const one of lineage) changes.set(one.revision, [...(changes.get(one.revision) ?? []), one]);
  for (const [revision, rows] of [...changes].reverse()) {
    const item = make("li");
    item.append(make("span", "finding-class", `${revision}. ${t(`grid_page.tool.${rows[0]?.operation ?? "edit"}`)}`));
    for (const row of rows) {
      const share = row.share >= 0.9995 ? "" : ` ${(row.share * 100).toFixed(1)} %`;
      item.append(make("span", "case-line", `${row.from} → ${row.to}${share}`));
    }
    list.append(item);
  }
  return list;
}
