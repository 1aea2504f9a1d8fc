// Who covers this point: a click on the map, answered beside the click.

import { latLngOf } from "./lonlat.js";
import { make } from "./dom.js";
import { nearestChoices } from "./placing.js";
import { getPhone, locate } from "./service.js";
import { t } from "./texts.js";

/** @typedef {import("./types.js").Holder} Holder */
/** @typedef {import("./types.js").Location} Location */
/** @typedef {import("./types.js").CellRef} CellRef */

/**
 * @param {Holder} holder
 * @returns {HTMLElement}
 */
export function holderLine(holder) {
  const line = make("li", "holder");
  line.append(make("span", "holder-rank", t(`rank.${holder.rank}`)));
  const who = make("span", "holder-who");
  who.append(make("bdi", "holder-name", holder.name ?? t("console.panel.vacant")), make("span", "holder-post", holder.post));
  line.append(who);
  if (holder.why) line.append(make("span", "holder-why", holder.why));
  else if (holder.name && holder.on_duty === false) line.append(make("span", "holder-why", t("desk.off_duty")));
  if (holder.person) line.append(phoneButton(holder.person));
  return line;
}

/**
 * A phone is shown when somebody wants to call, one at a time: who asked is on record.
 * @param {string} person
 */
function phoneButton(person) {
  const button = make("button", "link holder-phone", t("desk.phone.show"));
  button.type = "button";
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const phone = await getPhone(person);
      const shown = phone ? make("a", "holder-phone", phone) : make("span", "holder-phone quiet", t("desk.phone.none"));
      if (phone && shown instanceof HTMLAnchorElement) shown.href = `tel:${phone.replace(/[^\d+]/g, "")}`;
      button.replaceWith(shown);
      shown.focus();
    } catch (fault) {
      button.disabled = false;
      button.textContent = fault instanceof Error ? fault.message : "";
    }
  });
  return button;
}

/**
 * @param {CellRef[]} chain
 * @returns {HTMLElement}
 */
export function chainList(chain) {
  const list = make("ol", "chain");
  for (const cell of [...chain].sort((a, b) => a.level - b.level)) {
    const item = make("li");
    item.append(make("span", "chain-level", t(`level.${cell.level}`)), make("bdi", "chain-name", cell.name), make("span", "chain-code", cell.code));
    list.append(item);
  }
  return list;
}

/**
 * Why a place is to be confirmed on site, and the cells it may be.
 * @param {import("./types.js").Accuracy} accuracy
 * @returns {HTMLElement[]}
 */
export function candidateList(accuracy) {
  const list = make("ol", "chain");
  for (const cell of accuracy.candidates) {
    const item = make("li");
    item.append(make("span", "chain-level", `${Math.round(100 * cell.share)} %`), make("bdi", "chain-name", cell.name), make("span", "chain-code", cell.code));
    list.append(item);
  }
  return [make("p", "panel-confirm", accuracy.reason ?? ""), list];
}

export class Who {
  #map;
  #light;
  /** @type {AbortController|null} */
  #abort = null;
  #popup = L.popup({ className: "who", closeButton: true, autoPanPaddingTopLeft: [16, 16], autoPanPaddingBottomRight: [60, 16], minWidth: 300, maxWidth: 340, offset: [0, -2] });

  /**
   * @param {L.Map} map
   * @param {(chain: CellRef[]|null) => void} light lights the answered cell; null goes back to the selected case
   */
  constructor(map, light) {
    this.#map = map;
    this.#light = light;
    map.on("click", (event) => void this.ask(event.latlng.lng, event.latlng.lat));
    map.on("popupopen", (event) => {
      const close = event.popup.getElement()?.querySelector(".leaflet-popup-close-button");
      close?.setAttribute("aria-label", t("console.panel.close"));
    });
    map.on("popupclose", () => {
      this.#abort?.abort();
      light(null);
    });
  }

  get isOpen() {
    return this.#popup.isOpen();
  }

  close() {
    this.#popup.close();
  }

  /**
   * @param {number} lon
   * @param {number} lat
   * @param {"wgs84"|"gcj02"|"bd09"} [coordSys] other than WGS84: the answer says where that is on our map
   * @param {{name?: string|undefined, goThere?: () => void, act?: {label: (name: string) => string, run: (code: string) => void}}} [more]
   *   `name` of the place, where somebody asked by it; `goThere` moves the map; `act` what may be done with the cell that is found
   */
  async ask(lon, lat, coordSys = "wgs84", { name, goThere, act } = {}) {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    const body = make("div", "who-body");
    body.append(make("h2", "who-title", t("console.locate.title")));
    if (name) body.append(make("bdi", "who-place", name));
    const point = make("p", "who-point", `${lon.toFixed(6)}, ${lat.toFixed(6)}`);
    const answer = make("div");
    answer.setAttribute("role", "status");
    body.append(point, answer);
    // An answer usually arrives within a few milliseconds: say that we wait only when we do.
    const waiting = setTimeout(() => answer.replaceChildren(make("p", "quiet", t("console.locate.working"))), 300);
    const show = (/** @type {L.LatLng} */ at) => {
      this.#popup.setLatLng(at).setContent(body);
      if (!this.#popup.isOpen()) this.#popup.openOn(this.#map);
    };
    // The question leaves first: where the map goes it asks for tiles, and the answer must not queue behind them.
    const answered = locate(lon, lat, abort.signal, coordSys);
    goThere?.();
    if (coordSys === "wgs84") show(latLngOf([lon, lat]));
    try {
      const found = await answered;
      if (coordSys !== "wgs84") {
        point.textContent = `${t(`desk.palette.${coordSys}`)} ${lon}, ${lat} → ${found.location.lon.toFixed(6)}, ${found.location.lat.toFixed(6)}`;
        show(latLngOf([found.location.lon, found.location.lat]));
      }
      answer.replaceChildren(...describe(found));
      const leaf = [...found.chain].sort((a, b) => b.level - a.level)[0];
      if (act && leaf) {
        const button = make("button", "button button-primary", act.label(leaf.name));
        button.type = "button";
        button.addEventListener("click", () => {
          this.close();
          act.run(leaf.code);
        });
        answer.append(button);
      }
      this.#light(found.chain);
    } catch (fault) {
      if (abort.signal.aborted) return;
      if (!this.#popup.isOpen()) show(this.#map.getCenter());
      answer.replaceChildren(make("p", "fault", t("console.locate.error", { reason: fault instanceof Error ? fault.message : "" })));
      this.#light(null);
    } finally {
      clearTimeout(waiting);
      if (!abort.signal.aborted) this.#popup.update();
    }
  }
}

/**
 * @param {Location} found
 * @returns {HTMLElement[]}
 */
function describe(found) {
  /** @type {HTMLElement[]} */
  const parts = [];
  if (found.chain.length) {
    parts.push(chainList(found.chain));
    const holders = make("ul", "holders");
    if (found.head) holders.append(holderLine(found.head));
    if (found.backup) holders.append(holderLine(found.backup));
    if (!found.head && !found.backup) holders.append(make("li", "quiet", t("console.locate.nobody")));
    parts.push(holders);
  } else {
    parts.push(make("p", "who-out", t("console.locate.out")));
    if (found.nearest.length) parts.push(make("p", "quiet", t("console.locate.nearest")), nearestChoices(found.nearest, null));
  }
  if (found.grid_version) parts.push(make("p", "quiet", t("console.locate.version", { number: found.grid_version.number, rule: found.rule })));
  return parts;
}
