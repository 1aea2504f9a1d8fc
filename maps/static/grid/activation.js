// Before a draft becomes valid: the open cases whose cell or head would change; then from when on.

import { announce, make } from "../console/dom.js";
import { context, number, t } from "../console/texts.js";
import { clearFaults, faultPlace, field, input, showFault } from "./forms.js";
import { button } from "./overview.js";
import { activateVersion, getEffect } from "./service.js";
import { instant, titleOf, zonedIso } from "./words.js";

/** @typedef {import("./types.js").AffectedCase} AffectedCase */
/** @typedef {import("./types.js").Effect} Effect */
/** @typedef {import("./types.js").Version} Version */
/** @typedef {import("./desk.js").Desk} Desk */

export class ActivationView {
  #desk;

  /** @param {Desk} desk */
  constructor(desk) {
    this.#desk = desk;
  }

  /**
   * @param {HTMLElement} pane
   * @param {AbortSignal} signal
   */
  async show(pane, signal) {
    const version = this.#desk.version;
    if (!version) return;
    const effect = await getEffect(version, signal);
    if (signal.aborted) return;
    pane.replaceChildren(...this.#effect(effect), this.#form(version, effect));
    this.#draw(effect);
  }

  leave() {
    this.#desk.overlay.clear("cases");
  }

  /**
   * @param {Effect} effect
   * @returns {HTMLElement[]}
   */
  #effect(effect) {
    const head = make("div", "pane-head");
    if (!effect.count) {
      head.append(make("h2", "proven", t("grid_page.effect.none")));
      return [head];
    }
    head.append(make("h2", "", t("grid_page.effect.count", { count: number(effect.count) })), make("p", "quiet", t("grid_page.effect.why")));
    const list = make("ol", "cases");
    const named = (/** @type {string|null} */ code) => (code ? `${this.#desk.ground.get(code)?.properties.name ?? ""} ${code}`.trim() : null);
    list.append(...effect.cases.map((one) => caseRow({ ...one, cell: { before: named(one.cell.before), after: named(one.cell.after) }, parent: { before: named(one.parent.before), after: named(one.parent.after) } })));
    if (effect.count > effect.cases.length) list.append(make("li", "quiet", t("grid_page.coverage.more", { shown: number(effect.cases.length), count: number(effect.count) })));
    return [head, list];
  }

  /** @param {Effect} effect */
  #draw(effect) {
    const marks = [];
    for (const one of effect.cases) {
      if (one.location) marks.push({ geometry: /** @type {GeoJSON.Point} */ ({ type: "Point", coordinates: [one.location.lon, one.location.lat] }), look: "case" });
    }
    this.#desk.overlay.set("cases", marks);
  }

  /**
   * @param {Version} version
   * @param {Effect} effect
   * @returns {HTMLElement}
   */
  #form(version, effect) {
    const form = make("form", "form pane-section");
    form.addEventListener("submit", (event) => event.preventDefault());
    const now = radio("now", t("grid_page.activate.now"), true);
    const later = radio("at", t("grid_page.activate.at"), false);
    const at = input("");
    at.type = "datetime-local";
    const when = field(t("grid_page.activate.instant", { zone: context.config.time_zone }), at, "/from");
    when.hidden = true;
    const reason = make("textarea");
    reason.maxLength = 400;
    const why = field(t("grid_page.activate.reason"), reason, "/accept");
    why.hidden = true;
    const confirm = make("div", "preview-place");
    for (const choice of [now, later]) {
      choice.control.addEventListener("change", () => {
        when.hidden = now.control.checked;
        confirm.replaceChildren();
        if (!when.hidden) at.focus();
      });
    }
    at.addEventListener("input", () => confirm.replaceChildren());
    const ask = button(t("grid_page.activate.check"), () => {
      clearFaults(form);
      const typed = later.control.checked ? zonedIso(at.value) : null;
      if (later.control.checked && !typed) {
        showFault(form, new Error(t("grid_page.activate.no_instant")));
        return;
      }
      const said = typed ? t("grid_page.activate.sure_at", { version: titleOf(version), at: instant(typed), count: number(effect.count) }) : t("grid_page.activate.sure_now", { version: titleOf(version), count: number(effect.count) });
      const box = make("div", "preview");
      const go = button(t("grid_page.activate.go"), () => void this.#activate(version, typed, reason.value.trim(), form, why, go), "button-primary");
      go.dataset.activate = "";
      box.append(make("p", "", said), go);
      confirm.replaceChildren(box);
      go.focus();
    });
    const moves = make("div", "move-row");
    moves.append(ask);
    form.append(make("h2", "", t("grid_page.activate.title")), now.box, later.box, when, why, faultPlace(), moves, confirm);
    return form;
  }

  /**
   * @param {Version} version
   * @param {string|null} at
   * @param {string} reason
   * @param {HTMLElement} form
   * @param {HTMLElement} why
   * @param {HTMLButtonElement} go
   */
  async #activate(version, at, reason, form, why, go) {
    go.disabled = true;
    try {
      const done = await activateVersion(version, at, why.hidden ? "" : reason);
      announce(t("grid_page.activate.done", { version: titleOf(done) }));
      await this.#desk.reload(version.number, "overview");
    } catch (fault) {
      go.disabled = false;
      // Findings may be accepted, with a reason that is kept; the refusal opens the field for it.
      if (fault instanceof Error && "code" in fault && String(fault.code).includes("coverage")) why.hidden = false;
      showFault(form, fault);
    }
  }
}

/**
 * @param {string} value
 * @param {string} label
 * @param {boolean} checked
 */
function radio(value, label, checked) {
  const box = make("label", "choice");
  const control = make("input");
  control.type = "radio";
  control.name = "when";
  control.value = value;
  control.checked = checked;
  box.append(control, make("span", "", label));
  return { box, control };
}

/**
 * @param {AffectedCase} one
 * @returns {HTMLElement}
 */
function caseRow(one) {
  const item = make("li");
  const link = make("a", "", one.case);
  link.href = `${context.root}/?case=${encodeURIComponent(one.case)}`;
  const head = make("span", "finding-head");
  head.append(link, make("span", "quiet", t(`state.${one.status}`)));
  item.append(head);
  for (const [label, change] of /** @type {[string, {before: string|null, after: string|null}][]} */ ([["grid_page.effect.cell", one.cell], ...(one.cell.before === one.cell.after ? [["grid_page.effect.parent", one.parent]] : []), ["grid_page.effect.head", one.head]])) {
    if (change.before === change.after) continue;
    const line = make("span", "case-line");
    line.append(make("span", "", `${t(label)} `), make("bdi", "was", change.before ?? t("grid_page.effect.nobody")), make("span", "", " → "), make("bdi", "", change.after ?? t("grid_page.effect.nobody")));
    item.append(line);
  }
  return item;
}
