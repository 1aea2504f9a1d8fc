// @ts-check
// The planner's map on paper.
(function () {
  "use strict";

  /** @typedef {any} Leaflet */
  const gridward = /** @type {any} */ (window).gridward;

  /** Draw layers as SVG, in the coordinates of Leaflet's panes. @param {Leaflet[]} shownGroups */
  function onPaper(shownGroups) {
    const space = "http://www.w3.org/2000/svg";
    /** @param {string} tag @param {Record<string, string | number>} attributes */
    const draw = (tag, attributes) => {
      const element = document.createElementNS(space, tag);
      Object.entries(attributes).forEach(([name, value]) => element.setAttribute(name, String(value)));
      return element;
    };
    const svg = draw("svg", { class: "gw-paper", width: 1, height: 1, style: "position:absolute;overflow:visible" });
    const pattern = draw("pattern", { id: "gw-hatch", width: 5, height: 5, patternUnits: "userSpaceOnUse" });
    pattern.append(draw("path", { d: "M-1 6 6-1M-1 1 1-1M4 6 6 4", stroke: gridward.token("--edge"), "stroke-width": 0.8 }));
    svg.append(pattern);
    for (const group of shownGroups) {
      group.eachLayer((/** @type {Leaflet} */ polygon) => {
        const { fillColor, fillOpacity, color, weight, hatch: isHatched } = polygon.options;
        const d = polygon._rings
          .map((/** @type {Leaflet[]} */ ring) => `M${ring.map((at) => `${at.x.toFixed(1)} ${at.y.toFixed(1)}`).join("L")}Z`)
          .join("");
        const fill = isHatched ? "url(#gw-hatch)" : group.gw.edges || !fillOpacity ? "none" : fillColor;
        svg.append(draw("path", { d, fill, stroke: color, "stroke-width": weight, "stroke-linejoin": "round", "fill-rule": "evenodd" }));
      });
    }
    return svg;
  }

  gridward.onPaper = onPaper;
})();
