// The only place where elements are made. Texts go through textContent, so whatever people typed stays text.

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} [className]
 * @param {string|null} [text]
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined && text !== null) element.textContent = text;
  return element;
}

/**
 * Set a text only when it differs: an unchanged row is not touched, so nothing repaints and no reader speaks.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element #${id}`);
  return found;
}

const polite = byId("announce");

/**
 * Say something to screen readers, without moving the focus.
 * @param {string} text
 */
export function announce(text) {
  polite.textContent = text;
}
