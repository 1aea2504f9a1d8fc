// What the phone keeps: acts on their way, the last day seen, cells. IndexedDB, shared with the service worker.

/** @typedef {import("./types.js").Entry} Entry */

const NAME = "gridward-field";

/** @type {Promise<IDBDatabase>|null} */
let opened = null;

/** @returns {Promise<IDBDatabase>} */
function open() {
  opened ??= new Promise((resolve, reject) => {
    const asked = indexedDB.open(NAME, 1);
    asked.onupgradeneeded = () => {
      asked.result.createObjectStore("outbox", { keyPath: "n", autoIncrement: true }).createIndex("id", "id", { unique: true });
      asked.result.createObjectStore("kept");
    };
    asked.onsuccess = () => {
      // Another tab with a newer page wants to change the shape: let it, and open anew at the next need.
      asked.result.onversionchange = () => {
        asked.result.close();
        opened = null;
      };
      resolve(asked.result);
    };
    asked.onerror = () => {
      opened = null;
      reject(asked.error);
    };
  });
  return opened;
}

/**
 * @template T
 * @param {"outbox"|"kept"} store
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest<T>} work
 * @returns {Promise<T>} after the transaction is on the disk
 */
async function within(store, mode, work) {
  const base = await open();
  return new Promise((resolve, reject) => {
    const transaction = base.transaction(store, mode, { durability: mode === "readwrite" ? "strict" : "default" });
    const asked = work(transaction.objectStore(store));
    transaction.oncomplete = () => resolve(asked.result);
    transaction.onabort = transaction.onerror = () => reject(transaction.error ?? asked.error);
  });
}

/**
 * @param {Entry} entry
 * @returns {Promise<void>} when it is safe
 */
export async function addEntry(entry) {
  const { n: _, ...fresh } = entry;
  entry.n = Number(await within("outbox", "readwrite", (store) => store.add(fresh)));
}

/** @returns {Promise<Entry[]>} in the order in which they were done */
export function listEntries() {
  return within("outbox", "readonly", (store) => /** @type {IDBRequest<Entry[]>} */ (store.getAll()));
}

/** @param {Entry} entry */
export async function saveEntry(entry) {
  await within("outbox", "readwrite", (store) => store.put(entry));
}

/** @param {Entry} entry */
export async function dropEntry(entry) {
  if (entry.n !== undefined) await within("outbox", "readwrite", (store) => store.delete(/** @type {number} */ (entry.n)));
}

/**
 * @template T
 * @param {string} name
 * @returns {Promise<T|undefined>}
 */
export function kept(name) {
  return within("kept", "readonly", (store) => store.get(name));
}

/**
 * @param {string} name
 * @param {unknown} value
 */
export async function keep(name, value) {
  await within("kept", "readwrite", (store) => store.put(value, name));
}
