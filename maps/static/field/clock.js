// What time it is for the service: a phone whose clock is wrong still shows what is left of a limit rightly.

/** From here on a clock is called wrong, and said to be. */
const WRONG_MS = 120_000;

let skewMs = 0;

/**
 * Learn from an answer how far this phone's clock is off.
 * @param {Response} answer
 */
export function hear(answer) {
  const told = Date.parse(answer.headers.get("Date") ?? "");
  if (Number.isNaN(told)) return;
  // The header has whole seconds, and the answer has travelled: small differences are nobody's fault.
  const found = told - Date.now();
  skewMs = Math.abs(found) < 5000 ? 0 : found;
}

/**
 * What the phone has kept cannot be of the future: without a network, that is all that is known.
 * @param {string} asOf
 */
export function suspect(asOf) {
  const ahead = Date.parse(asOf) - Date.now();
  if (ahead > WRONG_MS && skewMs === 0) skewMs = ahead;
}

/** @returns {Date} */
export function now() {
  return new Date(Date.now() + skewMs);
}

/** @returns {number} by how much the clock is slow (or, negative, fast); 0 when it is right enough. Units: ms */
export function wrongBy() {
  return Math.abs(skewMs) >= WRONG_MS ? skewMs : 0;
}
