// @ts-check
// The cells of the planner's map: unpacked, drawn, hatched. A classic script, like all of the frame: the frame has no origin of its
// own, so a module could not be loaded. None of them ever writes HTML: every text from the data is set as text.
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
   * @param {{shapes: string[], codes?: string[], names: string[], counts?: number[], tips?: string[], tones?: string, total?: number, level: number,
   *   edges?: boolean, light?: string[], dark?: string[]}} packed
   */
  function cells(packed) {
    canvas = canvas || new Hatching({ padding: 0.3 });
    const codes = packed.codes ? readTexts(packed.codes) : [];
    const names = readTexts(packed.names);
    const group = L.featureGroup();
    // Which cell each polygon is: one without an outline has none.
    const places = new Map();
    group.gw = { ...packed, places };
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
        tip: packed.tips ? packed.tips[at] : "",
        tone: packed.tones ? packed.tones[at] : "-",
        level: packed.level,
      };
      places.set(polygon, at);
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
        fillColor: plain ? token("--paper") : (theme === "dark" ? packed.dark : packed.light)?.[parseInt(tone, 16)],
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

  /** The pane must exist before the first layer that lies in it. @param {Leaflet} map */
  function prepare(map) {
    if (map.getPane(EDGES)) return;
    const pane = map.createPane(EDGES);
    pane.style.zIndex = "450";
    pane.style.pointerEvents = "none";
  }

  // What the other scripts of the frame share; `theme` changes.
  /** @type {any} */ (window).gridward = {
    prepare,
    cells,
    restyle,
    token,
    make,
    groups,
    EDGES,
    get theme() {
      return theme;
    },
    /** @param {"light" | "dark"} chosen */
    set theme(chosen) {
      theme = chosen;
      document.documentElement.setAttribute("data-theme", theme);
    },
  };
})();
