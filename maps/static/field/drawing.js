// A small map without a map library: outlines as SVG, status signs on top, panned and zoomed by changing one box.

import { make } from "../console/dom.js";
import { known, sign } from "../console/shapes.js";
import { t } from "../console/texts.js";

/** @typedef {import("./types.js").Cell} Cell */
/** @typedef {import("./types.js").FieldCase} FieldCase */
/** @typedef {import("./types.js").Point} Point */

const SVG = "http://www.w3.org/2000/svg";
const WIDE = 1000;
const CLOSEST = 0.02;

/**
 * @param {string} tag
 * @param {Record<string, string|number>} attributes
 * @returns {SVGElement}
 */
function draw(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}

/**
 * @typedef {{west: number, south: number, east: number, north: number}} Box
 * @typedef {{element: HTMLElement, mark: (point: Point|null) => void, fit: (box: Box) => void}} Drawing
 */

/**
 * @param {Point[]} points
 * @returns {Box|null}
 */
export function boxOf(points) {
  if (!points.length) return null;
  const lons = points.map((point) => point.lon);
  const lats = points.map((point) => point.lat);
  return { west: Math.min(...lons), south: Math.min(...lats), east: Math.max(...lons), north: Math.max(...lats) };
}

/**
 * @param {Cell} cell
 * @returns {Point[]}
 */
export function cornersOf(cell) {
  return cell.shape.flatMap((polygon) => polygon[0] ?? []).map(([lon = 0, lat = 0]) => ({ lon, lat }));
}

/**
 * @param {{cells: Cell[], cases: FieldCase[], focus: Point[], selected?: string|null, label: string, hasTools?: boolean, pick?: (point: Point) => void, open?: (one: FieldCase) => void}} what
 * @returns {Drawing}
 */
export function drawMap({ cells, cases, focus, selected = null, label, hasTools = true, pick, open }) {
  const all = boxOf([...cells.flatMap(cornersOf), ...cases.flatMap((one) => (one.location ? [one.location] : []))]);
  const home = boxOf(focus) ?? all ?? { west: 113, south: 34, east: 114, north: 35 };
  const lat0 = (home.south + home.north) / 2;
  const shrink = Math.cos((lat0 * Math.PI) / 180);
  const scale = WIDE / Math.max((home.east - home.west) * shrink, home.north - home.south, 1e-4);
  const x = (/** @type {number} */ lon) => (lon - home.west) * shrink * scale;
  const y = (/** @type {number} */ lat) => (home.north - lat) * scale;

  const element = make("div", "drawing");
  const svg = /** @type {SVGSVGElement} */ (draw("svg", { role: "group", "aria-label": label, preserveAspectRatio: "xMidYMid meet" }));
  const ground = draw("g", {});
  const signs = draw("g", {});
  svg.append(ground, signs);
  element.append(svg);

  for (const cell of [...cells].sort((a, b) => b.level - a.level)) {
    const path = cell.shape.flat().map((ring) => `M${ring.map(([lon = 0, lat = 0]) => `${x(lon).toFixed(1)} ${y(lat).toFixed(1)}`).join("L")}Z`).join("");
    const shape = draw("path", { d: path, class: `edge edge-${Math.min(cell.level, 3)}${cell.code === selected ? " is-selected" : cell.is_own ? " is-own" : ""}`, "fill-rule": "evenodd" });
    const title = draw("title", {});
    title.textContent = cell.name;
    shape.append(title);
    ground.append(shape);
  }
  /** @type {{node: SVGElement, at: Point, size: number}[]} */
  const fixed = [];
  for (const cell of cells) {
    const box = cell.level === 3 || cells.length === 1 ? boxOf(cornersOf(cell)) : null;
    if (!box) continue;
    const text = draw("text", { class: "cell-name", "text-anchor": "middle" });
    text.textContent = cell.name;
    signs.append(text);
    fixed.push({ node: text, at: { lon: (box.west + box.east) / 2, lat: (box.south + box.north) / 2 }, size: x(box.east) - x(box.west) });
  }
  for (const one of [...cases].reverse()) {
    if (!one.location) continue;
    const pin = sign(known(one.light));
    const group = draw("g", open ? { class: "pin", role: "button", tabindex: 0, "aria-label": `${one.category.name} ${one.case}` } : { class: "pin" });
    group.append(draw("circle", { r: 11, class: "pin-ground", cx: 6, cy: 6 }), pin);
    pin.setAttribute("width", "12");
    pin.setAttribute("height", "12");
    if (open) {
      group.addEventListener("click", () => open(one));
      group.addEventListener("keydown", (event) => {
        if (/** @type {KeyboardEvent} */ (event).key === "Enter") open(one);
      });
    }
    signs.append(group);
    fixed.push({ node: group, at: one.location, size: 0 });
  }
  const spot = draw("g", { class: "spot", visibility: "hidden" });
  spot.append(draw("circle", { r: 9, class: "spot-ring" }), draw("circle", { r: 2.5, class: "spot-dot" }));
  signs.append(spot);
  const spotAt = { node: spot, at: { lon: home.west, lat: home.south }, size: 0 };
  fixed.push(spotAt);

  const view = { x: 0, y: 0, width: WIDE, height: WIDE };

  /** Signs and letters keep their size, whatever the box shows. */
  function show() {
    svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);
    const bounds = svg.getBoundingClientRect();
    const unit = bounds.width ? Math.max(view.width / bounds.width, view.height / bounds.height) : view.width / 360;
    for (const { node, at, size } of fixed) {
      const isText = node.tagName === "text";
      const shift = isText || node === spot ? "" : " translate(-6 -6)";
      node.setAttribute("transform", `translate(${x(at.lon)} ${y(at.lat)}) scale(${unit * (isText || node === spot ? 1 : 1.4)})${shift}`);
      if (isText) node.setAttribute("visibility", size / unit > 64 ? "visible" : "hidden");
    }
    part();
  }

  /** No name lies upon another: the names of wider cells come first, what has no room waits until somebody zooms in. */
  function part() {
    /** @type {DOMRect[]} */
    const taken = [];
    const names = fixed.filter(({ node }) => node.tagName === "text" && node.getAttribute("visibility") === "visible");
    for (const { node } of names.sort((a, b) => b.size - a.size)) {
      const box = node.getBoundingClientRect();
      const meets = taken.some((one) => box.left < one.right && one.left < box.right && box.top < one.bottom && one.top < box.bottom);
      if (meets) node.setAttribute("visibility", "hidden");
      else taken.push(box);
    }
  }

  /** @param {Box} box */
  function fit(box) {
    const margin = 0.14 * Math.max(x(box.east) - x(box.west), y(box.south) - y(box.north), 60);
    Object.assign(view, { x: x(box.west) - margin, y: y(box.north) - margin, width: x(box.east) - x(box.west) + 2 * margin, height: y(box.south) - y(box.north) + 2 * margin });
    show();
  }

  /** @param {number} factor */
  function zoom(factor) {
    const width = Math.max(WIDE * CLOSEST, Math.min(WIDE * 40, view.width * factor));
    const real = width / view.width;
    Object.assign(view, { x: view.x + (view.width * (1 - real)) / 2, y: view.y + (view.height * (1 - real)) / 2, width, height: view.height * real });
    show();
  }

  /**
   * @param {PointerEvent|MouseEvent} event
   * @returns {Point}
   */
  function pointAt(event) {
    const matrix = svg.getScreenCTM()?.inverse();
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix);
    return { lon: home.west + at.x / (shrink * scale), lat: home.north - at.y / scale };
  }

  let dragged = false;
  /** @type {{x: number, y: number}|null} */
  let last = null;
  svg.addEventListener("pointerdown", (event) => {
    last = { x: event.clientX, y: event.clientY };
    dragged = false;
  });
  svg.addEventListener("pointermove", (event) => {
    if (!last || !hasTools) return;
    const [dx, dy] = [event.clientX - last.x, event.clientY - last.y];
    if (!dragged && Math.hypot(dx, dy) < 6) return;
    dragged = true;
    svg.setPointerCapture(event.pointerId);
    const bounds = svg.getBoundingClientRect();
    const unit = Math.max(view.width / bounds.width, view.height / bounds.height);
    Object.assign(view, { x: view.x - dx * unit, y: view.y - dy * unit });
    last = { x: event.clientX, y: event.clientY };
    show();
  });
  for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, () => (last = null));
  svg.addEventListener("click", (event) => {
    if (pick && !dragged) pick(pointAt(event));
  });

  if (hasTools) {
    const tools = make("div", "drawing-tools");
    for (const [word, text, work] of /** @type {[string, string, () => void][]} */ ([
      [t("field.map.in"), "+", () => zoom(0.6)],
      [t("field.map.out"), "−", () => zoom(1.7)],
      [t("field.map.all"), "⤢", () => fit(all ?? home)],
    ])) {
      const button = make("button", "tool", text);
      button.type = "button";
      button.setAttribute("aria-label", word);
      button.addEventListener("click", work);
      tools.append(button);
    }
    element.append(tools);
  }
  new ResizeObserver(() => show()).observe(svg);
  fit(home);
  return {
    element,
    fit,
    mark(point) {
      spot.setAttribute("visibility", point ? "visible" : "hidden");
      if (point) spotAt.at = point;
      show();
    },
  };
}
