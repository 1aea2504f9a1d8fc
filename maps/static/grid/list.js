// The list of versions, newest first.

import { byId, make } from "../console/dom.js";
import { context, number, t } from "../console/texts.js";
import { counts, sourceOf, titleOf, validity } from "./words.js";

/** @typedef {import("./types.js").Version} Version */

/**
 * @param {Version} version
 * @returns {HTMLElement} shape and word
 */
export function statusOf(version) {
  const status = make("span", "version-status");
  const sign = make("span", "version-sign");
  sign.dataset.status = version.status;
  sign.setAttribute("aria-hidden", "true");
  status.append(sign, make("span", "", t(`grid_page.status.${version.status}`)));
  return status;
}

/**
 * @param {Version[]} versions
 * @param {number|null} open number of the version shown
 * @param {(number: number) => void} choose
 */
export function showVersions(versions, open, choose) {
  const list = byId("version-list");
  const held = list.contains(document.activeElement);
  list.replaceChildren(
    ...versions.map((version) => {
      const item = make("li");
      const link = make("a", "version");
      link.href = `${context.root}/grid/versions/${version.number}`;
      if (version.number === open) link.setAttribute("aria-current", "page");
      const head = make("span", "version-head");
      head.append(make("span", "version-number", titleOf(version)), make("bdi", "version-name", version.name), statusOf(version));
      link.append(head, make("span", "version-line", validity(version)), make("span", "version-line", counts(version.cells)));
      if (version.source) {
        const source = make("span", "version-line version-source");
        source.append(make("span", "", t("grid_page.source")), make("bdi", "typed", sourceOf(version)));
        link.append(source);
      }
      link.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        choose(version.number);
      });
      item.append(link);
      return item;
    }),
  );
  if (held) /** @type {HTMLElement|null} */ (list.querySelector("[aria-current]"))?.focus();
  byId("version-foot").textContent = t("grid_page.versions.count", { count: number(versions.length) });
}

/**
 * What stands where the list would: nothing imported yet, or the list could not be read.
 * @param {string|null} title
 * @param {string} [more]
 * @param {(() => void)|null} [retry]
 */
export function showListState(title, more = "", retry = null) {
  const box = byId("version-state");
  box.hidden = title === null;
  box.replaceChildren();
  if (title === null) return;
  box.append(make("p", "state-title", title), make("p", "quiet", more));
  if (!retry) return;
  const button = make("button", "button", t("grid_page.retry"));
  button.type = "button";
  button.addEventListener("click", retry);
  box.append(button);
}
