// The service worker: the page and its files without a network, and delivery when the network is back.

import { deliverInBackground } from "./sync.js";

const PREFIX = "gridward-field-";
const PATIENCE_MS = 3000;
const SLOW_MS = 30_000;

/**
 * @typedef {Event & {waitUntil(promise: Promise<unknown>): void}} LongEvent
 * @typedef {LongEvent & {request: Request, respondWith(answer: Promise<Response>): void}} FetchAsked
 * @typedef {LongEvent & {tag: string}} SyncAsked
 * @typedef {{addEventListener(type: string, listener: (event: any) => void): void, skipWaiting(): Promise<void>, clients: {claim(): Promise<void>}, location: Location}} WorkerScope
 */

/**
 * @param {{version: string, root: string, files: string[]}} kept
 */
export function start(kept) {
  const scope = /** @type {WorkerScope} */ (/** @type {unknown} */ (globalThis));
  const cacheName = PREFIX + kept.version;
  const page = `${kept.root}/field`;
  const files = new Set(kept.files);
  let slowUntil = 0;

  scope.addEventListener("install", (/** @type {LongEvent} */ event) => {
    event.waitUntil(fill().then(() => scope.skipWaiting()));
  });
  scope.addEventListener("activate", (/** @type {LongEvent} */ event) => {
    event.waitUntil(tidy().then(() => scope.clients.claim()));
  });
  scope.addEventListener("sync", (/** @type {SyncAsked} */ event) => {
    if (event.tag === "gridward-outbox") event.waitUntil(deliverInBackground());
  });
  scope.addEventListener("fetch", (/** @type {FetchAsked} */ event) => {
    const address = new URL(event.request.url);
    if (event.request.method !== "GET" || address.origin !== scope.location.origin) return;
    if (event.request.mode === "navigate" && address.pathname === page) event.respondWith(answer(event, page));
    else if (files.has(address.pathname)) event.respondWith(answer(event, address.pathname));
  });

  async function fill() {
    const cache = await caches.open(cacheName);
    await cache.addAll([page, ...kept.files].map((file) => new Request(file, { cache: "reload" })));
  }

  async function tidy() {
    const names = await caches.keys();
    await Promise.all(names.filter((name) => name.startsWith(PREFIX) && name !== cacheName).map((name) => caches.delete(name)));
  }

  /**
   * The network first, so that a new version never meets an old script; the phone's own copy when it does not answer.
   * @param {FetchAsked} event
   * @param {string} name
   * @returns {Promise<Response>}
   */
  async function answer(event, name) {
    const cache = await caches.open(cacheName);
    const known = await cache.match(name);
    if (known && Date.now() < slowUntil) return known;
    const asked = fetch(event.request).then(async (found) => {
      if (found.ok && found.type === "basic") await cache.put(name, found.clone());
      return found;
    });
    if (!known) return asked;
    event.waitUntil(asked.catch(() => undefined));
    const patience = new Promise((resolve) => setTimeout(() => resolve(null), PATIENCE_MS));
    const first = await Promise.race([asked.catch(() => null), patience]);
    if (first instanceof Response && first.status < 500) return first;
    slowUntil = Date.now() + SLOW_MS;
    return known;
  }
}
