// Who reported a case: masked, until somebody says why the whole name is needed. The reason stands in the audit trail.

import { announce, make } from "./dom.js";
import { revealReporter } from "./service.js";
import { moment, t } from "./texts.js";

/** @typedef {import("./types.js").Reporter} Reporter */

/** As short as the service takes one. */
const SHORTEST_REASON = 4;

/**
 * @param {Reporter} reporter
 * @returns {HTMLElement|null} null when nobody said who they are
 */
export function reporterBox(reporter) {
  const masked = [reporter.name, reporter.phone, reporter.email].filter(Boolean);
  if (!masked.length && !reporter.anonymous && !reporter.erased_at) return null;
  const box = make("div", "reporter");
  const line = make("p", "reporter-line");
  if (reporter.erased_at) line.append(make("span", "quiet", t("desk.reporter.erased", { when: moment(new Date(reporter.erased_at), new Date()) })));
  else if (!masked.length) line.append(make("span", "quiet", t("desk.reporter.anonymous")));
  else line.append(...masked.map((one) => make("bdi", "", one)));
  if (reporter.follow_up) line.append(make("span", "badge", t("desk.reporter.follow_up")));
  box.append(line);
  if (!reporter.may_reveal) return box;
  const ask = make("button", "link", t("desk.reporter.reveal"));
  ask.type = "button";
  ask.addEventListener("click", () => {
    const form = reasonForm(reporter.case, (shown) => {
      line.replaceChildren(...shown);
      form.remove();
      line.tabIndex = -1;
      line.focus();
    }, () => form.replaceWith(ask));
    ask.replaceWith(form);
    form.querySelector("input")?.focus();
  });
  box.append(ask);
  return box;
}

/**
 * @param {string} ref
 * @param {(shown: HTMLElement[]) => void} done
 * @param {() => void} cancel
 */
function reasonForm(ref, done, cancel) {
  const form = make("form", "move-form reporter-form");
  const label = make("label");
  const reason = make("input");
  reason.required = true;
  reason.minLength = SHORTEST_REASON;
  reason.maxLength = 400;
  reason.autocomplete = "off";
  label.append(make("span", "", t("desk.reporter.reason")), reason);
  const said = make("p", "fault");
  said.setAttribute("role", "alert");
  const row = make("div", "move-row");
  const go = make("button", "button button-primary", t("desk.reporter.show"));
  const stop = make("button", "button", t("console.move.cancel"));
  stop.type = "button";
  stop.addEventListener("click", cancel);
  row.append(go, stop);
  form.append(label, said, row);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    go.disabled = true;
    try {
      const clear = await revealReporter(ref, reason.value.trim());
      const words = [clear.name, clear.phone, clear.email].filter(Boolean).map((one) => make("bdi", "reporter-clear", one));
      done([...words, make("span", "quiet", t("desk.reporter.on_record", { record: clear.record, left: clear.left }))]);
      announce(t("desk.reporter.shown"));
    } catch (fault) {
      said.textContent = fault instanceof Error ? fault.message : "";
      go.disabled = false;
    }
  });
  return form;
}
