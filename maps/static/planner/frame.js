// @ts-check
// The script of the planner's map, inside its frame. A classic script: the frame has no origin of its own, so a module could not be
// loaded. It never writes HTML: every text from the data is set as text.
(function () {
  "use strict";

  /** @typedef {any} Leaflet Leaflet and its plugins are classic scripts without types here. */
  /** @type {Leaflet} */
  const L = /** @type {any} */ (window).L;

  /** Units: degrees; as in maps/outline.py. */
  const STEP = 1e-5;
  const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  const HALF = 31;
  /** @type {Record<number, number>} Edge width by level, in CSS pixels. */
  const WIDTHS = { 1: 2, 2: 1.25, 3: 0.75 };
  const LABELS_AT_ONCE = 160;

  /** @type {"light" | "dark"} */
  let theme = window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  document.documentElement.setAttribute("data-theme", theme);

  /** @param {string} name */
  function token(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  /** Read a packed ring: differences of lon and lat in base 31. Leaflet wants [lat, lon]. @param {string} text */
  function readRing(text) {
    /** @type {number[][]} */
    const ring = [];
    let total = 0;
    let factor = 1;
    let isLon = true;
    let lon = 0;
    let lat = 0;
    for (const sign of text) {
      const value = ALPHABET.indexOf(sign);
      total += (value % HALF) * factor;
      factor *= HALF;
      if (value >= HALF) continue;
      const number = total % 2 === 0 ? total / 2 : -(total + 1) / 2;
      total = 0;
      factor = 1;
      if (isLon) {
        lon += number;
      } else {
        lat += number;
        ring.push([lat * STEP, lon * STEP]);
      }
      isLon = !isLon;
    }
    return ring;
  }

  /** @param {string} shape */
  function readShape(shape) {
    return shape.split(";").map((polygon) => polygon.split(",").map(readRing));
  }

  /** @param {string[]} coded Each text: how much it shares with the one before (base 36), and the rest. */
  function readTexts(coded) {
    let before = "";
    return coded.map((text) => (before = before.slice(0, parseInt(text.charAt(0), 36)) + text.slice(1)));
  }

  // The heat layer reads its canvas back with every drawing; told so beforehand, the browser keeps it in main memory.
  const plainContext = HTMLCanvasElement.prototype.getContext;
  HTMLCanvasElement.prototype.getContext = /** @type {any} */ (
    /** @this {HTMLCanvasElement} @param {string} kind @param {any} options */
    function (kind, options) {
      const isHeat = this.classList.contains("leaflet-heatmap-layer");
      return plainContext.call(this, kind, isHeat ? { ...options, willReadFrequently: true } : options);
    }
  );

  // A canvas that can hatch: one for all layers, for 20,000 SVG paths would be too many.
  const Hatching = L.Canvas.extend({
    _fillStroke(/** @type {CanvasRenderingContext2D} */ context, /** @type {Leaflet} */ layer) {
      if (!layer.options.hatch) {
        L.Canvas.prototype._fillStroke.call(this, context, layer);
        return;
      }
      context.globalAlpha = 1;
      context.fillStyle = hatch(context);
      context.fill("evenodd");
      layer.options.fill = false;
      L.Canvas.prototype._fillStroke.call(this, context, layer);
      layer.options.fill = true;
    },
  });

  /** @type {Record<string, CanvasPattern | string>} */
  const hatches = {};

  /** @param {CanvasRenderingContext2D} context */
  function hatch(context) {
    let pattern = hatches[theme];
    if (!pattern) {
      const tile = document.createElement("canvas");
      tile.width = tile.height = 7;
      const brush = /** @type {CanvasRenderingContext2D} */ (tile.getContext("2d"));
      brush.strokeStyle = token("--edge");
      brush.lineWidth = 1;
      brush.beginPath();
      brush.moveTo(-1, 8);
      brush.lineTo(8, -1);
      brush.moveTo(-1, 1);
      brush.lineTo(1, -1);
      brush.moveTo(6, 8);
      brush.lineTo(8, 6);
      brush.stroke();
      pattern = context.createPattern(tile, "repeat") || token("--hairline");
      hatches[theme] = pattern;
    }
    return pattern;
  }

  /** @type {Leaflet} */
  let canvas = null;
  // Edges lie over every view, also over pictures, and let the pointer through.
  const EDGES = "gw-edges";
  const edgeCanvas = L.canvas({ pane: EDGES, padding: 0.3 });
  /** @type {Leaflet[]} */
  const groups = [];

  /**
   * Build the layer of one level.
   *
   * @param {{shapes: string[], codes?: string[], names: string[], counts?: number[], tones?: string, total?: number, level: number,
   *   edges?: boolean, light?: string[], dark?: string[]}} packed
   */
  function cells(packed) {
    canvas = canvas || new Hatching({ padding: 0.3 });
    const codes = packed.codes ? readTexts(packed.codes) : [];
    const names = readTexts(packed.names);
    const group = L.featureGroup();
    group.gw = packed;
    packed.shapes.forEach((shape, at) => {
      if (!shape) return;
      const polygon = L.polygon(readShape(shape), {
        renderer: packed.edges ? edgeCanvas : canvas,
        pane: packed.edges ? EDGES : "overlayPane",
        interactive: !packed.edges,
        smoothFactor: packed.shapes.length > 2000 ? 1 : 0.5,
        bubblingMouseEvents: false,
      });
      polygon.gw = {
        code: codes[at] || "",
        name: names[at] || "",
        count: packed.counts ? packed.counts[at] : 0,
        tone: packed.tones ? packed.tones[at] : "-",
        level: packed.level,
      };
      group.addLayer(polygon);
    });
    group.gwStyle = (/** @type {Leaflet} */ polygon) => {
      const { tone, level } = polygon.gw;
      const plain = packed.edges || tone === "-" || tone === "h";
      return {
        stroke: true,
        color: packed.edges ? token(group.gwFaint ? "--map-edge-2" : "--map-edge-1") : plain ? token("--map-edge-3") : token("--paper"),
        weight: packed.edges ? (group.gwFaint ? 0.75 : WIDTHS[level] || 1) : packed.shapes.length > 60 ? 0.75 : 1,
        opacity: packed.edges ? (group.gwFaint ? 0.6 : 0.8) : 1,
        fill: !packed.edges,
        hatch: tone === "h",
        fillColor: plain ? token("--paper") : (theme === "dark" ? packed.dark : packed.light)?.[Number(tone)],
        fillOpacity: plain ? 0 : 1,
        dashArray: undefined,
      };
    };
    groups.push(group);
    restyle(group);
    return group;
  }

  /** @param {Leaflet} group */
  function restyle(group) {
    group.eachLayer((/** @type {Leaflet} */ polygon) => polygon.setStyle(group.gwStyle(polygon)));
  }

  /** @param {string} tag @param {string} [text] @param {string} [className] */
  function make(tag, text, className) {
    const element = document.createElement(tag);
    if (text) element.textContent = text;
    if (className) element.className = className;
    return element;
  }

  /**
   * Add everything around the layers: legend, scale, labels, theme, and the talk with the page outside.
   *
   * @param {Leaflet} map
   * @param {Record<string, Leaflet>} layers
   * @param {{legends: Record<string, [string, number, string, string][]>, surface: {light: string[], dark: string[]},
   *   pictureDark: string, spotPeak: number, texts: Record<string, string>, credit: string}} content
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
      const palette = shown === "cells" ? packed[theme] : content.surface[theme];
      legend.replaceChildren(
        ...(content.legends[shown] || []).map(([sign, index, text, textDark]) => {
          const part = make("span", "", sign ? "" : "gw-words");
          if (sign) {
            const mark = make("i");
            if (sign === "class") mark.style.background = palette[index];
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
      box.append(make("b", polygon.gw.name), make("small", polygon.gw.code), make("span", countWords(polygon.gw.count)));
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
    pane.style.zIndex = "640";
    pane.style.pointerEvents = "none";
    const named = labelOrder(layers);
    const drawLabels = () => labels(map, pane, named, (tone) => shown === "cells" && isStrong(tone, packed[theme].length));
    map.on("zoomend moveend resize viewreset", drawLabels);
    map.on("zoomanim", () => pane.replaceChildren());

    function applyTheme() {
      document.documentElement.setAttribute("data-theme", theme);
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
        theme = value;
        applyTheme();
      }
      if (type === "mark") markCode(typeof value === "string" ? value : null);
      if (type === "show" && byCode.has(value)) {
        map.fitBounds(byCode.get(value).getBounds(), { padding: [80, 80], maxZoom: 16 });
        markCode(value);
      }
    });
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", (event) => {
      if (window.parent !== window) return;
      theme = event.matches ? "dark" : "light";
      applyTheme();
    });

    const extent = layers.cells.getBounds();
    const fit = () => {
      map.invalidateSize({ animate: false });
      if (extent.isValid()) map.fitBounds(extent, { padding: [12, 12], animate: false });
    };
    // Paper has another shape, is always light, and is filled before the canvases would draw again: it gets outlines of its own,
    // which are sharp at any resolution, too.
    window.matchMedia("print").addEventListener("change", (event) => {
      map.getContainer().querySelector(".gw-paper")?.remove();
      const before = theme;
      if (event.matches) {
        theme = "light";
        fit();
        applyTheme();
        drawLabels();
        map.getPane(EDGES).append(onPaper(groups.filter((group) => map.hasLayer(group))));
        theme = before;
      } else {
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

    applyTheme();
    fit();
    tuneHeat();
    drawLabels();
    tell({ type: "ready" });
  }

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
    pattern.append(draw("path", { d: "M-1 6 6-1M-1 1 1-1M4 6 6 4", stroke: token("--edge"), "stroke-width": 0.8 }));
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

  /**
   * Which names come first: the highest level, then the darkest cells.
   *
   * @param {Record<string, Leaflet>} layers
   * @returns {{name: string, level: number, tone: string, isParent: boolean, at: Leaflet, bounds: Leaflet}[]}
   */
  function labelOrder(layers) {
    /** @type {{name: string, level: number, tone: string, isParent: boolean, at: Leaflet, bounds: Leaflet, rank: number}[]} */
    const all = [];
    for (const key of Object.keys(layers)) {
      if (key !== "cells" && !key.startsWith("level")) continue;
      layers[key].eachLayer((/** @type {Leaflet} */ polygon) => {
        const { name, level, tone } = polygon.gw;
        if (!name) return;
        const bounds = polygon.getBounds();
        all.push({
          name,
          level,
          tone,
          isParent: key !== "cells",
          at: middle(polygon),
          bounds,
          rank: level * 10 - (Number(tone) || 0),
        });
      });
    }
    return all.sort((a, b) => a.rank - b.rank);
  }

  /** Whether a class is so far from the paper that ink on it cannot be read. @param {string} tone @param {number} classes */
  function isStrong(tone, classes) {
    return tone >= "0" && tone <= "9" && Number(tone) > (classes - 1) * 0.45;
  }

  /**
   * A place for the name: on the line through the area's centre of the largest ring, the middle of the widest stretch that
   * is inside. (The centre itself may lie outside a bent cell.)
   *
   * @param {Leaflet} polygon
   */
  function middle(polygon) {
    let best = 0;
    let at = polygon.getBounds().getCenter();
    for (const [ring] of polygon.getLatLngs()) {
      const origin = ring[0];
      let area = 0;
      let moment = 0;
      eachEdge(ring, (a, b) => {
        const cross = (a.lng - origin.lng) * (b.lat - origin.lat) - (b.lng - origin.lng) * (a.lat - origin.lat);
        area += cross;
        moment += (a.lat + b.lat - 2 * origin.lat) * cross;
      });
      if (Math.abs(area) <= best) continue;
      best = Math.abs(area);
      const lat = origin.lat + moment / (3 * area);
      /** @type {number[]} */
      const crossings = [];
      eachEdge(ring, (a, b) => {
        if (a.lat > lat !== b.lat > lat) crossings.push(a.lng + ((lat - a.lat) / (b.lat - a.lat)) * (b.lng - a.lng));
      });
      crossings.sort((a, b) => a - b);
      let widest = -1;
      let entry = NaN;
      crossings.forEach((lng, i) => {
        if (i % 2 === 0) {
          entry = lng;
        } else if (lng - entry > widest) {
          widest = lng - entry;
          at = L.latLng(lat, (entry + lng) / 2);
        }
      });
    }
    return at;
  }

  /** @param {Leaflet[]} ring @param {(a: Leaflet, b: Leaflet) => void} use */
  function eachEdge(ring, use) {
    ring.forEach((a, at) => use(a, ring[(at + 1) % ring.length]));
  }

  /**
   * Draw the names that fit: inside their cell, and over no other name.
   *
   * @param {Leaflet} map
   * @param {HTMLElement} pane
   * @param {{name: string, level: number, tone: string, isParent: boolean, at: Leaflet, bounds: Leaflet}[]} named
   * @param {(tone: string) => boolean} isOnStrong
   */
  function labels(map, pane, named, isOnStrong) {
    const view = map.getBounds();
    const room = map.getSize();
    /** @type {{left: number, right: number, top: number, bottom: number}[]} */
    const taken = [];
    const drawn = [];
    for (const { name, level, tone, isParent, at, bounds } of named) {
      if (drawn.length >= LABELS_AT_ONCE) break;
      if (!view.contains(at)) continue;
      const size = level === 1 ? 13 : 12;
      // A Chinese sign is as wide as it is high, a Latin one a little over half.
      const width = Array.from(name).reduce((sum, sign) => sum + (sign.charCodeAt(0) > 0x2e7f ? 1 : 0.56), 0) * size + 6;
      const corner = map.latLngToLayerPoint(bounds.getNorthWest());
      const opposite = map.latLngToLayerPoint(bounds.getSouthEast());
      if (opposite.x - corner.x < width * 0.8 || opposite.y - corner.y < size + 2) continue;
      // Where one cell of the level above fills the view, its name says nothing and stands in the way.
      if (isParent && opposite.x - corner.x > room.x / 3) continue;
      const point = map.latLngToLayerPoint(at);
      const box = { left: point.x - width / 2, right: point.x + width / 2, top: point.y - 9, bottom: point.y + 9 };
      if (taken.some((o) => o.left < box.right && box.left < o.right && o.top < box.bottom && box.top < o.bottom)) continue;
      taken.push(box);
      const label = make("div", name, `gw-label gw-level-${level}${isOnStrong(tone) ? " gw-on-strong" : ""}`);
      label.style.left = `${point.x}px`;
      label.style.top = `${point.y}px`;
      drawn.push(label);
    }
    pane.replaceChildren(...drawn);
  }

  /** The pane must exist before the first layer that lies in it. @param {Leaflet} map */
  function prepare(map) {
    if (map.getPane(EDGES)) return;
    const pane = map.createPane(EDGES);
    pane.style.zIndex = "450";
    pane.style.pointerEvents = "none";
  }

  /** @type {any} */ (window).gridward = { prepare, cells, finish };
})();
