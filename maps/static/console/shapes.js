// The status signs. Shape carries the meaning, colour repeats it: they differ in greyscale, too.

/** @typedef {import("./types.js").Light} Light */

const SVG = "http://www.w3.org/2000/svg";

/** Paths in a 12 × 12 box; the areas are about equal, so that no state looks larger than another. */
const PATHS = {
  green: "M6 .8a5.2 5.2 0 1 0 0 10.4A5.2 5.2 0 1 0 6 .8z",
  yellow: "M6 .6 11.8 11H.2z",
  red: "M1.2 1.2h9.6v9.6H1.2z",
  supervised: "M6 0 12 6 6 12 0 6z",
  suspended: "M6 1.6a4.4 4.4 0 1 0 0 8.8 4.4 4.4 0 1 0 0-8.8z",
  none: "M6 3.7a2.3 2.3 0 1 0 0 4.6 2.3 2.3 0 1 0 0-4.6zM6 .4a5.6 5.6 0 1 0 0 11.2A5.6 5.6 0 1 0 6 .4zm0 1.5a4.1 4.1 0 1 1 0 8.2 4.1 4.1 0 1 1 0-8.2z",
};

/** @type {Readonly<Record<Light, Path2D>>} */
const CANVAS_PATHS = {
  green: new Path2D(PATHS.green),
  yellow: new Path2D(PATHS.yellow),
  red: new Path2D(PATHS.red),
  supervised: new Path2D(PATHS.supervised),
  suspended: new Path2D(PATHS.suspended),
  none: new Path2D(PATHS.none),
};

/** Worst first. */
export const LIGHTS = /** @type {const} */ (["supervised", "red", "yellow", "green", "suspended", "none"]);

/**
 * @param {string} light
 * @returns {Light} the light, or `none` for a word this page does not know
 */
export function known(light) {
  return Object.hasOwn(PATHS, light) ? /** @type {Light} */ (light) : "none";
}

/**
 * Make the sign as an element; decorative, because its word always stands beside it.
 * @param {Light} light
 * @returns {SVGSVGElement}
 */
export function sign(light) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 12 12");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("fill-rule", "evenodd");
  svg.append(path);
  setSign(svg, light);
  return svg;
}

/**
 * Four corners of a frame: the button that shows the whole area.
 * @returns {SVGSVGElement}
 */
export function outline() {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", "outline");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", "M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4");
  svg.append(path);
  return svg;
}

/**
 * @param {SVGSVGElement} svg
 * @param {Light} light
 */
export function setSign(svg, light) {
  if (svg.dataset.light === light) return;
  svg.dataset.light = light;
  svg.setAttribute("class", `sign sign-${light}`);
  svg.firstElementChild?.setAttribute("d", PATHS[light]);
}

/**
 * Draw the sign on a canvas, centred on (x, y), with a rim in the ground colour so that neighbours stay apart.
 * @param {CanvasRenderingContext2D} canvas
 * @param {Light} light
 * @param {number} x
 * @param {number} y
 * @param {{colour: string, rim: string}} paint
 */
export function drawSign(canvas, light, x, y, paint) {
  const path = CANVAS_PATHS[light];
  canvas.save();
  canvas.translate(x - 6, y - 6);
  canvas.lineJoin = "round";
  canvas.strokeStyle = paint.rim;
  canvas.lineWidth = light === "suspended" ? 5 : 3;
  canvas.stroke(path);
  if (light === "suspended") {
    canvas.fillStyle = paint.rim;
    canvas.fill(path);
    canvas.strokeStyle = paint.colour;
    canvas.lineWidth = 2;
    canvas.stroke(path);
  } else {
    if (light === "none") {
      canvas.fillStyle = paint.rim;
      canvas.fill(CANVAS_PATHS.green);
    }
    canvas.fillStyle = paint.colour;
    canvas.fill(path, "evenodd");
  }
  canvas.restore();
}

/**
 * Draw the frame of a sign that is marked for one act together with others.
 * @param {CanvasRenderingContext2D} canvas
 * @param {number} reach half the side of the picture
 * @param {{accent: string, rim: string}} paint
 */
export function drawMarked(canvas, reach, paint) {
  const side = 2 * reach - 4;
  for (const [colour, width] of /** @type {const} */ ([[paint.rim, 4], [paint.accent, 2]])) {
    canvas.strokeStyle = colour;
    canvas.lineWidth = width;
    canvas.strokeRect(2, 2, side, side);
  }
}

/**
 * Draw the broken ring around a sign that lies in no cell and waits for one.
 * @param {CanvasRenderingContext2D} canvas
 * @param {number} reach half the side of the picture
 * @param {{none: string, rim: string}} paint
 */
export function drawOutside(canvas, reach, paint) {
  canvas.save();
  canvas.beginPath();
  canvas.arc(reach, reach, reach - 2.5, 0, 2 * Math.PI);
  canvas.strokeStyle = paint.rim;
  canvas.lineWidth = 4;
  canvas.stroke();
  canvas.setLineDash([3.3, 2.67]);
  canvas.strokeStyle = paint.none;
  canvas.lineWidth = 1.5;
  canvas.stroke();
  canvas.restore();
}
