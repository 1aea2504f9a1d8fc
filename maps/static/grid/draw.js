// Drawing a line on the map: by pointer (click, double click ends) or by keys (arrows move the map under the crosshair).

import { latLngOf } from "../console/lonlat.js";
import { announce, byId } from "../console/dom.js";
import { t } from "../console/texts.js";
import { polygonsOf } from "./ground.js";

/** @typedef {import("./types.js").CellFeature} CellFeature */
/** @typedef {import("./types.js").LonLat} LonLat */
/** @typedef {{near: CellFeature[], done: (line: LonLat[]) => void, cancelled: () => void, changed?: (count: number) => void}} Task */

/** How close to a corner or an edge a point is caught by it, in pixels. */
const CATCH_PX = 10;

export class LineTool {
  #map;
  /** @type {Task|null} */
  #task = null;
  /** @type {L.LatLng[]} */
  #points = [];
  /** @type {L.LatLng|null} */
  #next = null;
  #renderer;
  #line;
  #dots;

  /** @param {L.Map} map */
  constructor(map) {
    this.#map = map;
    map.createPane("drawing").classList.add("pane-drawing");
    this.#renderer = L.svg({ pane: "drawing", padding: 0.5 });
    this.#line = L.polyline([], { renderer: this.#renderer, pane: "drawing", className: "drawn-line", interactive: false });
    this.#dots = L.layerGroup();
    map.on("click", (event) => this.#add(event.latlng, event.originalEvent.altKey));
    map.on("dblclick", () => this.finish());
    map.on("mousemove", (event) => {
      if (!this.#task) return;
      byId("crosshair").hidden = true;
      this.#next = this.#caught(event.latlng, event.originalEvent.altKey);
      this.#draw();
    });
    map.getContainer().addEventListener("keydown", (event) => this.#key(event));
  }

  get isActive() {
    return this.#task !== null;
  }

  get count() {
    return this.#points.length;
  }

  /** @param {Task} task */
  start(task) {
    this.stop();
    this.#task = task;
    this.#map.doubleClickZoom.disable();
    this.#map.getContainer().classList.add("is-drawing");
    this.#line.addTo(this.#map);
    this.#dots.addTo(this.#map);
    const hint = byId("map-hint");
    hint.textContent = t("grid_page.draw.hint");
    hint.hidden = false;
    announce(t("grid_page.draw.hint"));
  }

  /** End without a word to anybody. */
  stop() {
    this.#task = null;
    this.#points = [];
    this.#next = null;
    this.#line.remove();
    this.#dots.remove();
    this.#draw();
    this.#map.doubleClickZoom.enable();
    this.#map.getContainer().classList.remove("is-drawing");
    byId("map-hint").hidden = true;
    byId("crosshair").hidden = true;
  }

  cancel() {
    const task = this.#task;
    this.stop();
    task?.cancelled();
  }

  finish() {
    const task = this.#task;
    if (!task) return;
    if (this.#points.length < 2) {
      announce(t("grid_page.draw.too_short"));
      byId("map-hint").textContent = t("grid_page.draw.too_short");
      return;
    }
    const line = this.#points.map((at) => /** @type {LonLat} */ ([Number(at.lng.toFixed(7)), Number(at.lat.toFixed(7))]));
    this.stop();
    task.done(line);
  }

  undo() {
    this.#points.pop();
    this.#changed();
  }

  #changed() {
    this.#draw();
    this.#task?.changed?.(this.#points.length);
    announce(t("grid_page.draw.points", { count: this.#points.length }));
  }

  /**
   * @param {L.LatLng} at
   * @param {boolean} free
   */
  #add(at, free) {
    if (!this.#task) return;
    const point = this.#caught(at, free);
    const last = this.#points.at(-1);
    // A double click is two clicks first; the second one stands on the first.
    if (last && this.#map.latLngToContainerPoint(last).distanceTo(this.#map.latLngToContainerPoint(point)) < 3) return;
    this.#points.push(point);
    this.#changed();
  }

  #draw() {
    const shown = this.#next && this.#points.length ? [...this.#points, this.#next] : this.#points;
    this.#line.setLatLngs(shown);
    this.#dots.clearLayers();
    for (const at of this.#points) {
      this.#dots.addLayer(L.circleMarker(at, { pane: "drawing", renderer: this.#renderer, radius: 4, className: "drawn-dot", interactive: false }));
    }
  }

  /**
   * Corners and edges of the cells worked on catch a point, so that a new boundary meets the old one.
   * @param {L.LatLng} at
   * @param {boolean} free
   * @returns {L.LatLng}
   */
  #caught(at, free) {
    const task = this.#task;
    if (!task || free) return at;
    const here = this.#map.latLngToLayerPoint(at);
    /** @type {L.LatLng|null} */
    let corner = null;
    /** @type {L.LatLng|null} */
    let edge = null;
    let cornerAway = CATCH_PX;
    let edgeAway = CATCH_PX;
    for (const cell of task.near) {
      for (const rings of polygonsOf(cell.geometry)) {
        for (const ring of rings) {
          const points = ring.map((lonLat) => this.#map.latLngToLayerPoint(latLngOf(lonLat)));
          points.forEach((point, index) => {
            const away = point.distanceTo(here);
            if (away < cornerAway) [cornerAway, corner] = [away, latLngOf(ring[index] ?? [])];
            const before = points[index - 1];
            if (!before) return;
            const foot = L.LineUtil.closestPointOnSegment(here, before, point);
            const aside = foot.distanceTo(here);
            if (aside < edgeAway) [edgeAway, edge] = [aside, this.#map.layerPointToLatLng(foot)];
          });
        }
      }
    }
    return corner ?? edge ?? at;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = event.shiftKey ? 8 : 48;
    /** @type {Record<string, [number, number]>} */
    const moves = { ArrowUp: [0, -step], ArrowDown: [0, step], ArrowLeft: [-step, 0], ArrowRight: [step, 0] };
    const move = moves[event.key];
    if (event.ctrlKey || event.metaKey || event.target !== this.#map.getContainer()) return;
    if (move) {
      this.#map.panBy(move, { animate: false });
      byId("crosshair").hidden = false;
      this.#next = this.#task ? this.#map.getCenter() : null;
      this.#draw();
    } else if (event.key === "+" || event.key === "=") this.#map.zoomIn(0.5, { animate: false });
    else if (event.key === "-") this.#map.zoomOut(0.5, { animate: false });
    else if (event.key === " ") {
      byId("crosshair").hidden = false;
      if (this.#task) this.#add(this.#map.getCenter(), event.altKey);
      else this.#map.fire("pick", { latlng: this.#map.getCenter() });
    } else if (this.#task && event.key === "Backspace") this.undo();
    else if (this.#task && event.key === "Enter") this.finish();
    else if (this.#task && event.key === "Escape") this.cancel();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
