// Fields of the page's forms, and faults shown beside the field they belong to.

import { make } from "../console/dom.js";
import { ServiceError } from "../console/service.js";
import { reasonOf } from "./overview.js";

let last = 0;

/**
 * @template {HTMLElement} T
 * @param {string} label
 * @param {T} control
 * @param {string} pointer where the service finds the value, as ``/parts/0/code``
 * @param {boolean} [wide]
 * @returns {HTMLElement}
 */
export function field(label, control, pointer, wide = false) {
  const box = make("div", wide ? "field field-wide" : "field");
  const name = make("label", "", label);
  last += 1;
  control.id = `field-${last}`;
  name.htmlFor = control.id;
  control.dataset.pointer = pointer;
  const fault = make("span", "field-fault");
  fault.id = `fault-${last}`;
  fault.hidden = true;
  box.append(name, control, fault);
  return box;
}

/**
 * @param {string} value
 * @param {boolean} [isCode] codes are letters and digits that no spelling check knows
 * @returns {HTMLInputElement}
 */
export function input(value, isCode = false) {
  const control = make("input");
  control.type = "text";
  control.value = value;
  control.autocomplete = "off";
  control.spellcheck = false;
  control.maxLength = isCode ? 40 : 200;
  return control;
}

/**
 * @param {[string, string][]} options value and text
 * @param {string} [chosen]
 * @returns {HTMLSelectElement}
 */
export function select(options, chosen) {
  const control = make("select");
  for (const [value, text] of options) {
    const option = make("option", "", text);
    option.value = value;
    control.append(option);
  }
  if (chosen !== undefined) control.value = chosen;
  return control;
}

/** @param {HTMLElement} form */
export function clearFaults(form) {
  for (const control of form.querySelectorAll("[aria-describedby]")) {
    control.removeAttribute("aria-invalid");
    control.removeAttribute("aria-describedby");
  }
  for (const fault of form.querySelectorAll(".field-fault, .form-fault")) /** @type {HTMLElement} */ (fault).hidden = true;
}

/**
 * Put a refusal where it belongs: beside its field, else at the form's own place for faults.
 * @param {HTMLElement} form
 * @param {unknown} fault
 */
export function showFault(form, fault) {
  clearFaults(form);
  const faults = fault instanceof ServiceError ? fault.faults : [];
  let isPlaced = false;
  for (const one of faults) {
    const control = [.../** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("[data-pointer]"))].find((each) => belongs(one.pointer, each.dataset.pointer ?? ""));
    const said = control?.closest(".field")?.querySelector(".field-fault");
    if (!control || !(said instanceof HTMLElement)) continue;
    if (!(control instanceof HTMLButtonElement)) control.setAttribute("aria-invalid", "true");
    control.setAttribute("aria-describedby", said.id);
    said.textContent = one.detail;
    said.hidden = false;
    if (!isPlaced) control.focus();
    isPlaced = true;
  }
  if (isPlaced) return;
  const place = form.querySelector(".form-fault");
  if (!(place instanceof HTMLElement)) return;
  place.textContent = faults.map((one) => one.detail).find(Boolean) ?? reasonOf(fault);
  place.hidden = false;
  place.scrollIntoView({ block: "nearest" });
}

/**
 * @param {string} pointer of the refusal: the service counts from its own root, and names points of a line one by one
 * @param {string} own of the field
 */
function belongs(pointer, own) {
  return own !== "" && (pointer.endsWith(own) || pointer.startsWith(`${own}/`));
}

/** @returns {HTMLElement} where a form says what was refused */
export function faultPlace() {
  const place = make("p", "note note-fault form-fault");
  place.setAttribute("role", "alert");
  place.hidden = true;
  return place;
}
