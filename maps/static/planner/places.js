// @ts-check
// Cases, squares and repeat sites on the planner's map: together at small scales, apart at large ones. Texts are set as text.
(function () {
  "use strict";

  /** @typedef {any} Leaflet */
  /** @type {Leaflet} */
  const L = /** @type {any} */ (window).L;
  const gridward = /** @type {any} */ (window).gridward;
  /** Worst first: the ring of a cluster shows the worst that is in it. */
  const WORST = ["gap", "late", "normal", "done", ""];
  const SHAPES = /** @type {Record<string, string>} */ ({ late: "■", normal: "●", done: "○", gap: "△" });

  /** @param {number} weight */
  function short(weight) {
    return weight >= 10000 ? `${Math.round(weight / 1000)}k` : String(weight);
  }

  /** @param {string} status @param {number} weight @param {boolean} isOne */
  function icon(status, weight, isOne) {
    const isDot = isOne && weight <= 1;
    const size = isDot ? 14 : 26 + Math.min(18, Math.round(Math.log2(Math.max(1, weight)) * 2));
    const box = gridward.make("div", isDot ? SHAPES[status] || "●" : weight ? short(weight) : SHAPES[status] || "", "gw-place-body");
    const name = `gw-place gw-place-${status || "plain"}${isDot ? " gw-place-dot" : ""}`;
    return L.divIcon({ html: box, className: name, iconSize: [size, size] });
  }

  /**
   * @param {{kind: string, at: [number, number, number][], status: string[], words: string[], keys: string[]}} packed
   */
  function clusters(packed) {
    const group = L.markerClusterGroup({
      maxClusterRadius: packed.kind === "sites" ? 24 : 52,
      showCoverageOnHover: false,
      spiderfyOnMaxZoom: true,
      chunkedLoading: false,
      animate: !window.matchMedia("(prefers-reduced-motion: reduce)").matches,
      iconCreateFunction: (/** @type {Leaflet} */ cluster) => {
        let weight = 0;
        let worst = WORST.length - 1;
        for (const marker of cluster.getAllChildMarkers()) {
          weight += marker.gw.weight;
          worst = Math.min(worst, Math.max(0, WORST.indexOf(marker.gw.status)));
        }
        return icon(WORST[worst] || "", weight, false);
      },
    });
    group.gwPlaces = packed;
    packed.at.forEach(([lat, lon, weight], at) => {
      const status = packed.status[at] || "";
      const marker = L.marker([lat, lon], { icon: icon(status, weight, true), keyboard: true, alt: packed.words[at] });
      marker.gw = { weight, status, key: packed.keys[at] || "", words: packed.words[at] || "" };
      // A function: the plain text would be taken for HTML.
      marker.bindTooltip(() => gridward.make("span", marker.gw.words), { direction: "top", offset: [0, -8] });
      group.addLayer(marker);
    });
    group.on("click", (/** @type {Leaflet} */ event) => {
      if (event.layer.gw?.key && window.parent !== window) {
        window.parent.postMessage({ gridward: "heat", type: packed.kind === "cases" ? "case" : "pick", code: event.layer.gw.key }, "*");
      }
    });
    return group;
  }

  gridward.clusters = clusters;
})();
