// What the page keeps of a case: the fields that it shows, in objects that cases of one cell, class and head share. Thousands of
// cases stay open for a whole shift; kept as they were sent, most of the page's memory would be the same names again and again.

/** @typedef {import("./types.js").Case} Case */

/** More than this and it is cheaper to begin anew than to look for what nobody uses any more: cells, classes and heads of a city's office. */
const MOST_PARTS = 4_000;
/** @type {Case["nearest"]} */
const NOTHING = [];
/** By what they say: parts that many cases have. @type {Map<string, unknown>} */
const parts = new Map();

/**
 * @template T
 * @param {T} part what never changes once it was read
 * @returns {T} an equal one, the same for everybody
 */
function shared(part) {
  if (part === null || part === undefined) return part;
  const key = JSON.stringify(part);
  const known = parts.get(key);
  if (known !== undefined) return /** @type {T} */ (known);
  if (parts.size >= MOST_PARTS) parts.clear();
  parts.set(key, part);
  return part;
}

/**
 * @template T
 * @param {T} text
 * @param {T} other
 * @returns {T} an instant that says the same as another is kept once: what one act did, it did at one time
 */
const alike = (text, other) => (text === other ? other : text);

/**
 * @param {Case} one as the service tells it: in a list, by an event, or with all its details
 * @returns {Case} what the desk needs of it
 */
export function kept(one) {
  return {
    case: one.case,
    version: one.version,
    status: shared(one.status),
    category: shared(one.category),
    condition: one.condition,
    channel: shared(one.channel),
    channel_name: shared(one.channel_name),
    ticket: one.ticket,
    text: one.text,
    address: one.address,
    reported_at: one.reported_at,
    due_at: one.due_at,
    limit: shared(one.limit),
    warn_at: one.warn_at,
    dispatched_at: alike(one.dispatched_at, one.reported_at),
    acknowledged_at: one.acknowledged_at,
    handled_at: one.handled_at,
    closed_at: one.closed_at,
    light: one.light,
    chain: shared(one.chain),
    head: shared(one.head),
    location: one.location,
    out_of_grid: one.out_of_grid,
    // Distances are each case's own.
    nearest: one.nearest.length ? one.nearest : NOTHING,
    ledgers: shared(one.ledgers),
    ledger_names: shared(one.ledger_names),
  };
}
