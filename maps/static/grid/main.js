// The administrator's grid page: starts the desk and binds what stands outside of it.

import { byId } from "../console/dom.js";
import { Desk } from "./desk.js";

const keys = /** @type {HTMLDialogElement} */ (byId("keys"));
byId("help-open").addEventListener("click", () => keys.showModal());
document.addEventListener("keydown", (event) => {
  const target = event.target;
  const isTyping = target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
  if (event.key === "?" && !isTyping && !keys.open) keys.showModal();
});

void new Desk().start();
