// The form that asks for what a move needs: a reason, a result, a date, another case; or who shall have it.

import { make } from "./dom.js";
import { asksFor, bodyOf } from "./moves.js";
import { distance, moment, t, wallTime } from "./texts.js";

/** @typedef {import("./types.js").Nearby} Nearby */
/** @typedef {import("./moves.js").Draft} Draft */

const LONGEST = { reason: 400, result: 4000 };

/**
 * @param {Draft} draft is written into while somebody types
 * @param {{busy: boolean, nearby: Nearby|null, options: import("./moves.js").Options|null, send: () => void, cancel: () => void}} on
 */
export function moveForm(draft, on) {
  const form = make("form", "move-form");
  const name = t(`move.${draft.move}`);
  for (const field of asksFor(draft.move)) form.append(field === "into" ? parentField(draft, on.nearby) : plainField(draft, field, name));
  if (draft.isChoosing && on.options) form.append(...choiceFields(draft, on.options));
  const go = make("button", "button button-primary", t("console.move.confirm", { move: name }));
  go.disabled = on.busy;
  const cancel = make("button", "button", t("console.move.cancel"));
  cancel.type = "button";
  cancel.addEventListener("click", on.cancel);
  const row = make("div", "move-row");
  row.append(go, cancel);
  form.append(row);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (bodyOf(draft)) on.send();
  });
  // Enter makes a line in a text; with Ctrl it sends, as everywhere.
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    form.requestSubmit();
  });
  return form;
}

/**
 * @param {Draft} draft
 * @param {"reason"|"result"|"until"} field
 * @param {string} name
 */
function plainField(draft, field, name) {
  const label = make("label");
  const input = field === "until" ? make("input") : make("textarea");
  if (input instanceof HTMLInputElement) {
    input.type = "datetime-local";
    input.min = wallTime(new Date());
    input.max = wallTime(new Date(Date.now() + 365 * 86_400_000));
  } else {
    input.rows = 3;
    input.maxLength = field === "result" ? LONGEST.result : LONGEST.reason;
  }
  input.required = true;
  input.value = draft[field];
  input.addEventListener("input", () => {
    draft[field] = input.value;
  });
  label.append(make("span", "", t(`console.move.${field}`, { move: name })), input);
  return label;
}

/**
 * Which case this one is merged into: those nearby to choose from, or any number.
 * @param {Draft} draft
 * @param {Nearby|null} nearby
 */
function parentField(draft, nearby) {
  const box = make("fieldset", "move-into");
  box.append(make("legend", "", t("console.move.into")));
  const number = make("input", "move-into-number");
  const now = new Date();
  for (const near of nearby?.duplicates.slice(0, 5) ?? []) {
    const label = make("label", "choice");
    const radio = make("input");
    radio.type = "radio";
    radio.name = "into";
    radio.checked = draft.into === near.case;
    radio.addEventListener("change", () => {
      draft.into = number.value = near.case;
    });
    const facts = [near.category.name, distance(near.distance_m), moment(new Date(near.reported_at), now), t(`state.${near.status}`)];
    label.append(radio, make("span", "panel-code", `#${near.case}`), make("bdi", "", facts.join(" · ")));
    box.append(label);
  }
  const label = make("label");
  number.required = true;
  number.maxLength = 40;
  number.autocomplete = "off";
  number.value = draft.into;
  number.addEventListener("input", () => {
    draft.into = number.value;
    for (const radio of box.querySelectorAll("input[type=radio]")) /** @type {HTMLInputElement} */ (radio).checked = false;
  });
  label.append(make("span", "", t("console.move.into_number")), number);
  box.append(label);
  return box;
}

/**
 * Who shall have it, on which terms, in which cell; what is left open follows from the rules.
 * @param {Draft} draft
 * @param {import("./moves.js").Options} options
 * @returns {HTMLElement[]}
 */
function choiceFields(draft, options) {
  const pick = (/** @type {"department"|"condition"} */ field, /** @type {[string, string][]} */ values) => {
    const select = make("select");
    for (const [value, text] of [["", t("desk.choose.rules")], ...values]) {
      const option = make("option", "", text);
      option.value = value ?? "";
      option.selected = value === draft[field];
      select.append(option);
    }
    select.addEventListener("change", () => (draft[field] = select.value));
    return labelled(t(`desk.choose.${field}`), select);
  };
  const cell = make("input");
  cell.maxLength = 40;
  cell.autocomplete = "off";
  cell.value = draft.cell;
  cell.addEventListener("input", () => (draft.cell = cell.value));
  return [
    pick("department", options.departments.map((one) => [one.code, one.name])),
    pick("condition", options.conditions.map((one) => [String(one.number), `${one.name} · ${one.limit.text}`])),
    labelled(t("desk.choose.cell"), cell),
  ];
}

/**
 * @param {string} text
 * @param {HTMLElement} field
 */
function labelled(text, field) {
  const label = make("label");
  label.append(make("span", "", text), field);
  return label;
}
