// @ts-check
// Everything around the layers of the planner's map: legend, scale, names, theme, paper, and the talk with the page outside.
(function () {
  "use strict";

  /** @typedef {any} Leaflet */
  /** @type {Leaflet} */
  const L = /** @type {any} */ (window).L;
  const gridward = /** @type {any} */ (window).gridward;
  const { EDGES, cells, groups, isStrong, labelOrder, labels, make, onPaper, restyle, token } = gridward;

  /**
   * Add everything around the layers: legend, scale, labels, theme, and the talk with the page outside.
   *
   * @param {Leaflet} map
   * @param {Record<string, Leaflet>} layers
   * @param {{legends: Record<string, [string, number, string, string][]>, surface: {light: string[], dark: string[]},
   *   pictureDark: string, spotPeak: number, texts: Record<string, string>, credit: string, control: string,
   *   variants: [string, string, string, string[]?][]}} content
   */
  function finish(map, layers, content) {
    const { texts } = content;
    map.getContainer().setAttribute("role", "region");
    map.getContainer().setAttribute("aria-label", document.title);
    L.control
      .zoom({ position: "topleft", zoomInTitle: texts["zoom.in"], zoomOutTitle: texts["zoom.out"] })
      .addTo(map);
    const packed = layers.cells.gw;
    const pictureLight = layers.density ? layers.density._url : "";
    let shown = "cells";

    L.control.scale({ position: "bottomright", imperial: false, maxWidth: 120 }).addTo(map);
    const north = L.control({ position: "bottomright" });
    north.onAdd = () => make("div", texts.north, "gw-north");
    north.addTo(map);

    // Under the map, not on it: a legend must not hide what it explains.
    const strip = make("footer", "", "gw-strip");
    const legend = make("p", "", "gw-legend");
    legend.setAttribute("aria-live", "polite");
    strip.append(legend, make("p", content.credit, "gw-credit"));
    document.body.append(strip);

    function drawLegend() {
      const { theme } = /** @type {{theme: "light" | "dark"}} */ (gridward);
      const palette = shown !== "density" && shown !== "heat" ? packed[theme] : content.surface[theme];
      legend.replaceChildren(
        ...(content.legends[shown] || []).map(([sign, index, text, textDark]) => {
          const part = make("span", "", sign ? "" : "gw-words");
          if (sign) {
            const mark = make("i");
            if (sign === "class") mark.style.background = palette[index];
            if (sign === "late" || sign === "normal" || sign === "done") {
              mark.className = `gw-sign gw-sign-${sign}`;
            }
            if (sign === "hatch") {
              mark.style.background = `repeating-linear-gradient(-45deg, ${token("--edge")} 0 1px, transparent 1px 5px)`;
            }
            part.append(mark);
          }
          part.append(theme === "dark" && textDark ? textDark : text);
          if (part.className) return part;
          // One sign and its words never part at the end of a line; between two of them the line may break.
          const pair = document.createDocumentFragment();
          pair.append(part, " ");
          return pair;
        }),
      );
    }

    /** @type {Leaflet} */
    let marked = null;

    /** @param {Leaflet} polygon @param {boolean} isMarked */
    function mark(polygon, isMarked) {
      polygon.setStyle(
        isMarked ? { color: token("--accent"), weight: 3, opacity: 1 } : layers.cells.gwStyle(polygon),
      );
      if (isMarked) polygon.bringToFront();
    }

    // In the other views the cells themselves are gone; their edges stay for orientation. Made when first needed.
    /** @type {Leaflet} */
    let edges = null;

    function showEdges() {
      if (shown === "cells") {
        if (edges) edges.remove();
        return;
      }
      if (!edges) {
        edges = cells({ shapes: packed.shapes, names: [], level: packed.level, edges: true });
        edges.gwFaint = true;
      }
      restyle(edges);
      edges.addTo(map);
    }

    /** @param {string | null} code */
    function markCode(code) {
      if (marked) mark(marked, false);
      marked = code ? byCode.get(code) || null : null;
      if (marked) mark(marked, true);
    }

    /** @param {number} count Cases; -1 fewer than five, -2 withheld. */
    function countWords(count) {
      if (count <= 0) return texts[count === 0 ? "tip.none" : count === -1 ? "tip.small" : "tip.withheld"] || "";
      // Hundredths of a per cent, rounded half up in whole numbers.
      const share = Math.floor((20000 * count + packed.total) / (2 * packed.total)) / 100;
      return (texts["tip.cases"] || "")
        .replace("{cases}", count.toLocaleString("en-US"))
        .replace("{share}", share.toFixed(2));
    }

    /** @type {Map<string, Leaflet>} */
    const byCode = new Map();
    const tooltip = L.tooltip({ sticky: true, direction: "top", offset: [0, -8], opacity: 1 });
    layers.cells.eachLayer((/** @type {Leaflet} */ polygon) => byCode.set(polygon.gw.code, polygon));
    layers.cells.on("mouseover", (/** @type {Leaflet} */ event) => {
      const polygon = event.layer;
      const box = make("div");
      box.append(make("b", polygon.gw.name), make("small", polygon.gw.code), make("span", polygon.gw.tip || countWords(polygon.gw.count)));
      tooltip.setContent(box).setLatLng(event.latlng).addTo(map);
      markCode(polygon.gw.code);
      tell({ type: "hover", code: polygon.gw.code });
    });
    layers.cells.on("mousemove", (/** @type {Leaflet} */ event) => tooltip.setLatLng(event.latlng));
    layers.cells.on("mouseout", () => {
      tooltip.remove();
      markCode(null);
      tell({ type: "hover", code: null });
    });
    layers.cells.on("click", (/** @type {Leaflet} */ event) => tell({ type: "pick", code: event.layer.gw.code }));

    map.on("baselayerchange", (/** @type {Leaflet} */ event) => {
      shown = Object.keys(layers).find((name) => layers[name] === event.layer) || "cells";
      drawLegend();
      drawLabels();
      showEdges();
      tell({ type: "layer", layer: shown });
    });

    const pane = map.createPane("gw-labels");
    // Under the signs of cases: a name that is hidden in part can still be read, a number cannot.
    pane.style.zIndex = "590";
    pane.style.pointerEvents = "none";
    const named = labelOrder(layers);
    const drawLabels = () => labels(map, pane, named, (/** @type {string} */ tone) => shown === "cells" && isStrong(tone, packed[gridward.theme], gridward.theme === "dark"));
    map.on("zoomend moveend resize viewreset", drawLabels);
    // Two maps in step: each tells where it looks after the reader has moved it, never after it was moved by the other one.
    let isLed = false;
    map.on("moveend", () => {
      if (isLed) {
        isLed = false;
        return;
      }
      const { lat, lng } = map.getCenter();
      tell({ type: "view", view: [lat, lng, map.getZoom()] });
    });
    gridward.variants(map, layers.cells, content, () => drawLabels());
    map.on("zoomanim", () => pane.replaceChildren());

    function applyTheme() {
      const { theme } = /** @type {{theme: "light" | "dark"}} */ (gridward);
      groups.forEach(restyle);
      if (layers.density) layers.density.setUrl(theme === "dark" ? content.pictureDark : pictureLight);
      if (layers.heat) layers.heat.setOptions({ gradient: gradient(content.surface[theme]) });
      drawLegend();
    }

    window.addEventListener("message", (event) => {
      // Only the page around us speaks to us; what it says is a theme, a code of a cell, or a wish to see one.
      if (event.source !== window.parent || window.parent === window || typeof event.data !== "object") return;
      const { type, value } = event.data || {};
      if (type === "theme" && (value === "dark" || value === "light")) {
        gridward.theme = value;
        applyTheme();
      }
      if (type === "view" && Array.isArray(value) && value.length === 3 && value.every(Number.isFinite)) {
        const [lat, lng, zoom] = value;
        const at = map.latLngToContainerPoint([lat, lng]);
        const middle = map.getSize().divideBy(2);
        if (zoom !== map.getZoom() || at.distanceTo(middle) > 1) {
          isLed = true;
          map.setView([lat, lng], zoom, { animate: false });
        }
      }
      if (type === "mark") markCode(typeof value === "string" ? value : null);
      if (type === "show" && byCode.has(value)) {
        map.fitBounds(byCode.get(value).getBounds(), { padding: [80, 80], maxZoom: 16 });
        markCode(value);
      }
    });
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => {
      if (window.parent !== window) return;
      gridward.theme = event.matches ? "dark" : "light";
      applyTheme();
    });

    const extent = layers.cells.getBounds();
    const fit = () => {
      map.invalidateSize({ animate: false });
      if (extent.isValid()) map.fitBounds(extent, { padding: [12, 12], animate: false });
    };
    // Paper has another shape, is always light, and is filled before the canvases would draw again: it gets outlines of its own,
    // which are sharp at any resolution, too.
    /** @type {"light" | "dark"} */
    let before = gridward.theme;
    window.matchMedia("print").addEventListener("change", (event) => {
      map.getContainer().querySelector(".gw-paper")?.remove();
      if (event.matches) {
        before = gridward.theme;
        gridward.theme = "light";
        fit();
        applyTheme();
        drawLabels();
        map.getPane(EDGES).append(onPaper(groups.filter((/** @type {Leaflet} */ group) => map.hasLayer(group))));
      } else {
        gridward.theme = before;
        // The frame still has the shape of the paper at this moment.
        window.setTimeout(() => {
          fit();
          applyTheme();
          drawLabels();
        }, 60);
      }
    });

    // The plugin fades by zoom with `maxZoom`, but a lower `maxZoom` makes Leaflet's switch refuse the layer at once. So the
    // darkest weight follows the zoom here: what the fullest 500 m hold, in proportion to the width of a spot on the ground.
    function tuneHeat() {
      if (!layers.heat) return;
      const zoom = map.getZoom();
      const fade = 1 / 2 ** Math.max(0, Math.min(layers.heat.options.maxZoom - zoom, 12));
      const metres = (40 * 40075016.686 * Math.cos((map.getCenter().lat * Math.PI) / 180)) / 2 ** (zoom + 8);
      const scale = Math.min(3, Math.max(0.05, metres / 500));
      layers.heat.setOptions({ max: content.spotPeak * scale * fade });
    }
    map.on("zoomend", tuneHeat);

    // A picture: no controls, the finding above the map, and the view that was asked for.
    const still = /^#(still|bare)(?:-([a-z]+))?$/.exec(location.hash);
    if (still) {
      document.documentElement.classList.add("gw-still");
      if (still[1] === "still") document.body.prepend(make("h1", document.title, "gw-title"));
      const wanted = still[2] && layers[still[2]] ? still[2] : "cells";
      if (wanted !== "cells") {
        layers.cells.remove();
        layers[wanted].addTo(map);
        shown = wanted;
        showEdges();
      }
    }

    applyTheme();
    fit();
    tuneHeat();
    drawLabels();
    tell({ type: "ready" });
  }

  /** @param {object} message */
  function tell(message) {
    if (window.parent !== window) window.parent.postMessage({ gridward: "heat", ...message }, "*");
  }

  /** @param {string[]} palette */
  function gradient(palette) {
    /** @type {Record<string, string>} */
    const stops = {};
    palette.forEach((colour, at) => (stops[String((at + 1) / palette.length)] = colour));
    return stops;
  }

  gridward.finish = finish;
})();
