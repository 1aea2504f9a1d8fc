// What the phone keeps: acts on their way, the last day seen, cells. IndexedDB, shared with the service worker.
//
// A phone may be full, and a browser may forbid a page in a frame to keep anything. Then an act lives in memory until it
// is delivered, and the page says that it must not be closed before.

/** @typedef {import("./types.js").Entry} Entry */

const NAME = "gridward-field";

/** @type {Promise<IDBDatabase>|null} */
let opened = null;

/** @type {Map<number, Entry>} acts, or newer states of acts, that the disk did not take; by their place in the order */
const fleeting = new Map();
/** The last place that was given to an act. */
let last = 0;

/** @type {{trouble: ""|"closed"|"full"}} */
export const store = { trouble: "" };

/** @returns {Promise<IDBDatabase>} */
function open() {
  opened ??= new Promise((resolve, reject) => {
    const asked = indexedDB.open(NAME, 1);
    asked.onupgradeneeded = () => {
      asked.result.createObjectStore("outbox", { keyPath: "n", autoIncrement: true }).createIndex("id", "id", { unique: true });
      asked.result.createObjectStore("kept");
    };
    asked.onsuccess = () => {
      // The browser may close it as well, for example when somebody clears what pages have kept.
      asked.result.onclose = () => (opened = null);
      // Another tab with a newer page wants to change the shape: let it, and open anew at the next need.
      asked.result.onversionchange = () => {
        asked.result.close();
        opened = null;
      };
      if (store.trouble === "closed") store.trouble = "";
      resolve(asked.result);
    };
    asked.onerror = () => reject(asked.error);
  });
  opened.catch(() => {
    opened = null;
    store.trouble = "closed";
  });
  return opened;
}

/**
 * @template T
 * @param {"outbox"|"kept"} name
 * @param {IDBTransactionMode} mode
 * @param {(shelf: IDBObjectStore) => IDBRequest<T>} work
 * @returns {Promise<T>} after the transaction is on the disk
 */
async function within(name, mode, work) {
  const base = await open();
  try {
    const result = await new Promise((resolve, reject) => {
      const transaction = base.transaction(name, mode, { durability: mode === "readwrite" ? "strict" : "default" });
      const asked = work(transaction.objectStore(name));
      transaction.oncomplete = () => resolve(asked.result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error ?? asked.error);
    });
    if (mode === "readwrite") store.trouble = "";
    return result;
  } catch (fault) {
    if (mode === "readwrite") store.trouble = "full";
    throw fault;
  }
}

/**
 * @param {Entry} entry
 * @returns {Promise<void>} when it is as safe as this phone lets it be
 */
export async function addEntry(entry) {
  const { n: _, ...fresh } = entry;
  try {
    entry.n = Number(await within("outbox", "readwrite", (outbox) => outbox.add(fresh)));
    last = Math.max(last, entry.n);
  } catch {
    // Behind everything that was done before, in front of whatever the disk takes next.
    last += 1 / 1024;
    entry.n = last;
    fleeting.set(last, entry);
  }
}

/** @returns {Promise<Entry[]>} in the order in which they were done */
export async function listEntries() {
  /** @type {Entry[]} */
  let entries = [];
  try {
    entries = await within("outbox", "readonly", (outbox) => /** @type {IDBRequest<Entry[]>} */ (outbox.getAll()));
  } catch {
    // What is in memory is all there is.
  }
  last = Math.max(last, entries.at(-1)?.n ?? 0);
  if (!fleeting.size) return entries;
  const all = new Map(entries.map((entry) => [entry.n ?? 0, entry]));
  for (const [n, entry] of fleeting) all.set(n, entry);
  return [...all.values()].sort((a, b) => (a.n ?? 0) - (b.n ?? 0));
}

/** @param {Entry} entry */
export async function saveEntry(entry) {
  const n = entry.n ?? 0;
  try {
    await within("outbox", "readwrite", (outbox) => outbox.put(entry));
    fleeting.delete(n);
  } catch {
    fleeting.set(n, entry);
  }
}

/** @param {Entry} entry */
export async function dropEntry(entry) {
  if (entry.n === undefined) return;
  const n = entry.n;
  const wasOnlyHere = fleeting.delete(n) && !Number.isInteger(n);
  if (!wasOnlyHere) await within("outbox", "readwrite", (outbox) => outbox.delete(n));
}

/**
 * @param {Entry} entry
 * @returns {boolean} whether it is lost when the page is closed
 */
export function isFleeting(entry) {
  return fleeting.has(entry.n ?? -1);
}

/** Ask the browser not to throw away what is kept when the phone gets full. */
export async function holdFast() {
  try {
    if (!(await navigator.storage?.persisted?.())) await navigator.storage?.persist?.();
  } catch {
    // Then it may; what is kept is delivered within minutes in any case.
  }
}

/**
 * @template T
 * @param {string} name
 * @returns {Promise<T|undefined>}
 */
export function kept(name) {
  return within("kept", "readonly", (shelf) => shelf.get(name));
}

/**
 * @param {string} name
 * @param {unknown} value
 */
export async function keep(name, value) {
  await within("kept", "readwrite", (shelf) => shelf.put(value, name));
}

/** Forget whose day it was; acts that have not been delivered stay. */
export async function forgetDay() {
  for (const name of ["day", "cells", "setting"]) await within("kept", "readwrite", (shelf) => shelf.delete(name));
}
