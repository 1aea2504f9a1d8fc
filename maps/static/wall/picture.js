// The wall's map: cells filled by how much is open, the worst light as a sign at the cell's own point, rings where
// something came in. Made once per drawing of the grid; afterwards only attributes change, so it can hang for months.

const SVG = "http://www.w3.org/2000/svg";
const TALL = 1000;
const STEPS = [1, 3, 6, 11, 21];
/** In a box of 12 × 12, as everywhere else: shape carries the meaning. */
const SIGNS = /** @type {Record<string, string>} */ ({
  red: "M-5-5h10v10h-10z",
  supervised: "M0-6 6 0 0 6-6 0z",
  yellow: "M0-5.6 5.8 5H-5.8z",
});

/** @typedef {{code: string, level: number, name: string, shape: number[][][][], at: [number, number]}} Cell */
/** @typedef {{fill: SVGElement, sign: SVGElement, ring: SVGElement, holder: SVGElement, at: [number, number]}} Drawn */

/**
 * @param {string} tag
 * @param {Record<string, string|number>} attributes
 */
function draw(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}

/**
 * @param {HTMLElement} holder
 * @param {Cell[]} cells
 * @param {number} level the level whose cells are filled
 * @param {string} label
 */
export function makePicture(holder, cells, level, label) {
  /** @type {Map<string, Drawn>} */
  const drawn = new Map();
  const points = cells.flatMap((cell) => cell.shape.flatMap((polygon) => polygon[0] ?? []));
  if (!points.length) return { show() {}, ring() {}, focus: () => "" };
  let [west, south, east, north] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [lon = 0, lat = 0] of points) {
    west = Math.min(west, lon);
    east = Math.max(east, lon);
    south = Math.min(south, lat);
    north = Math.max(north, lat);
  }
  const shrink = Math.cos((((south + north) / 2) * Math.PI) / 180);
  const scale = TALL / (north - south || 1e-6);
  const wide = (east - west) * shrink * scale;
  const x = (/** @type {number} */ lon) => (lon - west) * shrink * scale;
  const y = (/** @type {number} */ lat) => (north - lat) * scale;
  const svg = draw("svg", { viewBox: `-20 -20 ${wide + 40} ${TALL + 40}`, role: "img", "aria-label": label });
  const fills = draw("g", {});
  const edges = draw("g", {});
  const signs = draw("g", {});
  svg.append(fills, edges, signs);
  // Signs are as large as the picture allows, not as the cells are.
  const size = Math.max(1.2, Math.min(2.6, 60 / Math.sqrt(cells.filter((cell) => cell.level === level).length)));
  const wholes = cells.filter((cell) => cell.level === 1);
  let turn = wholes.length - 1;
  for (const cell of cells) {
    const path = cell.shape.flat().map((ring) => `M${ring.map(([lon = 0, lat = 0]) => `${x(lon).toFixed(1)} ${y(lat).toFixed(1)}`).join("L")}Z`).join("");
    if (cell.level === level) {
      const place = `translate(${x(cell.at[0]).toFixed(1)} ${y(cell.at[1]).toFixed(1)}) scale(${size})`;
      const fill = draw("path", { d: path, class: "fill fill-0", "fill-rule": "evenodd" });
      const sign = draw("path", { transform: place, class: "sign", visibility: "hidden" });
      const holderOfRing = draw("g", { transform: place });
      const ring = draw("circle", { r: 9, class: "ring" });
      holderOfRing.append(ring);
      fills.append(fill);
      signs.append(holderOfRing, sign);
      drawn.set(cell.code, { fill, sign, ring, holder: holderOfRing, at: cell.at });
    } else {
      edges.append(draw("path", { d: path, class: `edge edge-${cell.level}` }));
    }
  }
  /** @type {{name: SVGElement, at: [number, number]}[]} */
  const names = [];
  for (const cell of cells) {
    if (cell.level !== Math.min(level, 2)) continue;
    const name = draw("text", { class: "name", "text-anchor": "middle" });
    name.textContent = cell.name;
    signs.append(name);
    names.push({ name, at: cell.at });
  }
  holder.replaceChildren(svg);
  return {
    /** @param {Record<string, {open: number, light: string}>} counts */
    show(counts) {
      for (const [code, { fill, sign }] of drawn) {
        const count = counts[code];
        const step = STEPS.filter((least) => (count?.open ?? 0) >= least).length;
        const wanted = `fill fill-${step}`;
        if (fill.getAttribute("class") !== wanted) fill.setAttribute("class", wanted);
        const light = count?.light ?? "";
        if (sign.dataset.light === light) continue;
        sign.dataset.light = light;
        const shape = SIGNS[light];
        sign.setAttribute("visibility", shape ? "visible" : "hidden");
        sign.setAttribute("class", `sign sign-${light}`);
        if (shape) sign.setAttribute("d", shape);
      }
    },
    /**
     * All of it first, then one part after the other, as large as it will go.
     * @returns {string} name of the part shown; empty for all of it
     */
    focus() {
      turn = wholes.length > 1 ? (turn + 2) % (wholes.length + 1) - 1 : -1;
      const part = wholes[turn];
      const ring = part ? part.shape.flatMap((polygon) => polygon[0] ?? []) : [];
      const xs = ring.map(([lon = 0]) => x(lon));
      const ys = ring.map(([, lat = 0]) => y(lat));
      const box = part ? { left: Math.min(...xs), top: Math.min(...ys), wide: Math.max(...xs) - Math.min(...xs), tall: Math.max(...ys) - Math.min(...ys) } : { left: 0, top: 0, wide, tall: TALL };
      const margin = 0.03 * box.tall;
      svg.setAttribute("viewBox", `${box.left - margin} ${box.top - margin} ${box.wide + 2 * margin} ${box.tall + 2 * margin}`);
      const unit = box.tall / TALL;
      for (const { sign, holder: around, at } of drawn.values()) {
        for (const one of [sign, around]) one.setAttribute("transform", `translate(${x(at[0]).toFixed(1)} ${y(at[1]).toFixed(1)}) scale(${(size * unit * (part ? 1.3 : 1)).toFixed(3)})`);
      }
      for (const { name, at } of names) {
        name.setAttribute("transform", `translate(${x(at[0]).toFixed(1)} ${(y(at[1]) + 30 * unit).toFixed(1)}) scale(${unit.toFixed(3)})`);
        name.setAttribute("visibility", part || names.length <= 12 ? "visible" : "hidden");
      }
      return part?.name ?? "";
    },
    /** @param {string[]} path codes of the cells something came into */
    ring(path) {
      const found = path.map((code) => drawn.get(code)).find(Boolean);
      if (!found) return;
      found.ring.classList.remove("is-new");
      // Reading a size lets the animation begin anew.
      found.ring.getBoundingClientRect();
      found.ring.classList.add("is-new");
    },
  };
}
