// Joint work: the departments of a case with their parts, clocks and sign-offs.

import { make } from "./dom.js";
import { moment, t } from "./texts.js";

/** @typedef {import("./types.js").Leg} Leg */

/**
 * @param {Leg[]} legs
 * @param {Date} now
 * @returns {HTMLElement}
 */
export function legList(legs, now) {
  const list = make("ul", "holders");
  for (const leg of legs) {
    const item = make("li", "holder");
    const due = t("console.legs.due", { due: moment(new Date(leg.due_at), now) });
    const said = [leg.task, leg.head ? leg.head.name : t("console.legs.nobody"), due].filter(Boolean).join(" · ");
    item.append(make("strong", "", `${leg.department_name} ${leg.status_name}`), make("span", "quiet", said));
    list.append(item);
  }
  return list;
}
