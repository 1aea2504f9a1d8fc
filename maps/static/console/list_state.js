// What the queue says when it has no rows: nothing to do, nothing that fits the filter, or a fault and the way on.

import { byId, make } from "./dom.js";
import { number, t } from "./texts.js";

/** @typedef {import("./store.js").Store} Store */

/**
 * @param {Store} store
 * @param {{isLoaded: boolean, fault: string|null, retry: () => void, clear: () => void}} now
 */
export function showListState(store, now) {
  const box = byId("list-state");
  // Whoever has pressed the button in it goes on in the list.
  const hadFocus = box.contains(document.activeElement);
  if (store.visible().length > 0 || (!now.isLoaded && !now.fault)) {
    box.hidden = true;
    if (hadFocus) byId("list").focus({ preventScroll: true });
    return;
  }
  const button = make("button", "button");
  button.type = "button";
  const parts = [];
  if (now.fault) {
    parts.push(make("p", "state-title", t("console.queue.error")), make("p", "quiet", now.fault));
    button.textContent = t("console.retry");
    button.addEventListener("click", now.retry);
    parts.push(button);
  } else if (store.search || store.inView) {
    parts.push(make("p", "state-title", t("console.queue.empty_filter")));
    parts.push(make("p", "quiet", t("console.queue.empty_filter_hint", { count: number(store.counts()[store.inbox]) })));
    button.textContent = t("console.queue.clear");
    button.addEventListener("click", now.clear);
    parts.push(button);
  } else {
    parts.push(make("p", "state-title", t(`console.queue.empty_${store.inbox}`)), make("p", "quiet", t("console.queue.empty_hint")));
  }
  box.replaceChildren(...parts);
  box.hidden = false;
  if (hadFocus) (button.isConnected ? button : byId("list")).focus({ preventScroll: true });
}
