// The map without its contents: no base map, no animation, its own controls.

import { latLngOf } from "./lonlat.js";
import { make } from "./dom.js";
import { outline } from "./shapes.js";
import { context, t } from "./texts.js";

/**
 * @param {() => void} showWhole what the button "whole area" does
 * @returns {L.Map}
 */
export function makeMap(showWhole) {
  const map = L.map("map", {
    attributionControl: false, zoomControl: false, preferCanvas: true, zoomSnap: 0.5, zoomDelta: 0.5, wheelPxPerZoomLevel: 100,
    zoomAnimation: false, fadeAnimation: false, markerZoomAnimation: false, inertia: false, keyboard: false, minZoom: 4, maxZoom: 20,
  });
  map.setView(latLngOf(context.config.centre ?? [105, 35]), context.config.centre ? 13 : 4);
  const north = new L.Control({ position: "bottomright" });
  north.onAdd = () => make("span", "north", t("console.map.north"));
  north.addTo(map);
  L.control.scale({ imperial: false, position: "bottomright" }).addTo(map);
  const whole = new L.Control({ position: "topright" });
  whole.onAdd = () => {
    const button = make("button", "whole leaflet-bar");
    button.type = "button";
    button.append(outline());
    button.title = t("console.map.all");
    button.setAttribute("aria-label", t("console.map.all"));
    L.DomEvent.disableClickPropagation(button);
    button.addEventListener("click", showWhole);
    return button;
  };
  L.control.zoom({ position: "topright", zoomInTitle: t("console.map.zoom_in"), zoomOutTitle: t("console.map.zoom_out") }).addTo(map);
  whole.addTo(map);
  return map;
}
