// When the office works: what is left of a limit is said in the time that counts.

/** Ends of stretches with the milliseconds worked until there. @type {{begins: number, ends: number, before: number}[]} */
let stretches = [];
/** Milliseconds of an ordinary working day. */
export let dayMs = 0;

/**
 * Take in when the office works. Until then limits are counted in ordinary hours.
 * @param {{day_s: number, stretches: [string, string][]}} found
 */
export function keepWorkingTime(found) {
  let before = 0;
  stretches = found.stretches.map(([begins, ends]) => {
    const one = { begins: Date.parse(begins), ends: Date.parse(ends), before };
    before += one.ends - one.begins;
    return one;
  });
  dayMs = found.day_s * 1000;
}

/**
 * Working milliseconds from one instant to a later one.
 * @param {number} from
 * @param {number} to
 * @returns {number|null} null where the calendar has not been read that far
 */
export function workedBetween(from, to) {
  const first = stretches[0];
  const last = stretches[stretches.length - 1];
  if (!first || !last || !dayMs || from < first.begins || to > last.ends) return null;
  return workedUntil(to) - workedUntil(from);
}

/** @param {number} at */
function workedUntil(at) {
  let low = 0;
  let high = stretches.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((stretches[middle]?.ends ?? 0) <= at) low = middle + 1;
    else high = middle;
  }
  const one = stretches[low];
  return one ? one.before + Math.max(0, at - one.begins) : 0;
}
