// What is filled in before an act: result, reason, photos, position, the evidence of a return.

import { byId, make } from "../console/dom.js";
import { distance, instantOf, t, wallTime } from "../console/texts.js";
import { now } from "./clock.js";
import { desk, enqueue } from "./desk.js";
import { boxOf, cornersOf, drawMap } from "./drawing.js";
import { covers, distanceToOutline } from "./geometry.js";
import { button, labelled, photoField, positionField, round } from "./parts.js";
import { toastSaved } from "./toast.js";

/** @typedef {import("./types.js").Deed} Deed */
/** @typedef {import("./types.js").Entry} Entry */
/** @typedef {import("./types.js").FieldCase} FieldCase */
/** @typedef {import("./types.js").Leg} Leg */
/** @typedef {import("./types.js").Point} Point */

const RESULT = new Set(["report_back", "report_phase", "verify_done", "leg_report_back", "check_pass"]);
const REASON = new Set(["return", "request_extension", "request_suspend", "check_fail", "answer_supervision", "leg_return"]);
const PHOTOS = new Set(["report_back", "report_phase", "verify_done", "leg_report_back", "return", "check_fail", "check_pass"]);
const POSITION = new Set(["report_back", "return"]);

/** @returns {HTMLDialogElement} */
function dialog() {
  return /** @type {HTMLDialogElement} */ (byId("sheet"));
}

/**
 * @param {FieldCase} one
 * @param {string} move
 * @param {Leg|null} leg
 * @param {Entry|null} [draft] an act that was refused: its words and photos are there again
 */
export function openSheet(one, move, leg, draft = null) {
  const sheet = dialog();
  const problem = make("p", "problem");
  problem.setAttribute("role", "alert");
  const say = (/** @type {string} */ text) => {
    problem.textContent = text;
  };
  const form = make("form", "sheet-form");
  form.noValidate = true;
  const title = make("h2", "", t(`move.${move}`));
  title.id = "sheet-title";
  form.append(title, make("p", "quiet typed", `${one.category.name} · ${one.place.join(" · ")}`));

  const photos = PHOTOS.has(move) ? photoField({ say, photos: [...(draft?.photos ?? [])] }) : null;
  if (photos) form.append(photos.element);
  const words = make("textarea", "words");
  words.rows = 3;
  words.maxLength = REASON.has(move) ? 400 : 4000;
  words.value = draft?.deed.reason ?? draft?.deed.result ?? "";
  if (REASON.has(move)) form.append(labelled("sheet-words", t("field.sheet.reason"), words));
  else if (RESULT.has(move)) form.append(labelled("sheet-words", t("field.sheet.result"), words, t("field.sheet.result.hint")));
  const until = make("input");
  if (move === "request_suspend") {
    until.type = "datetime-local";
    until.min = wallTime(now());
    form.append(labelled("sheet-until", t("field.sheet.until"), until));
  }
  const evidence = move === "return" ? evidenceOf(one) : null;
  const position = POSITION.has(move) && !evidence ? positionField() : null;
  if (draft?.deed.position) position?.set(draft.deed.position);
  if (evidence) form.append(evidence.element);
  if (position) form.append(position.element);

  form.append(problem);
  const bar = make("div", "sheet-bar");
  const send = make("button", "primary", t("field.sheet.send"));
  bar.append(button("secondary", t("field.back"), () => sheet.close()), send);
  form.append(bar);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const said = words.value.trim();
    if (REASON.has(move) && !said) {
      say(t("field.sheet.reason.needed"));
      words.focus();
      return;
    }
    /** @type {Deed} */
    const deed = { kind: leg ? "leg" : "move", case: one.case, move };
    if (leg) deed.leg = leg.leg;
    if (said) deed[REASON.has(move) ? "reason" : "result"] = said;
    if (move === "request_suspend") {
      const at = until.value ? instantOf(until.value) : null;
      if (!at) {
        say(t("field.sheet.until.needed"));
        until.focus();
        return;
      }
      deed.until = at.toISOString();
    }
    const given = evidence ? evidence.value() : (position?.value.position ?? null);
    if (given) deed.position = given;
    send.disabled = true;
    try {
      const entry = await enqueue(deed, {
        title: `${t(`move.${move}`)} · ${one.category.name}`, photos: photos?.photos ?? [], one, seen: leg ? leg.version : null, draft,
      });
      sheet.close();
      location.hash = "#cases";
      toastSaved(entry);
    } catch (fault) {
      send.disabled = false;
      say(t("field.sheet.not_saved", { problem: fault instanceof Error ? fault.message : String(fault) }));
    }
  });
  sheet.replaceChildren(form);
  sheet.showModal();
}

/**
 * The point against the polygon that answered: tapped, read from the phone, or the case's own.
 * @param {FieldCase} one
 * @returns {{element: HTMLElement, value: () => import("./types.js").Position|null}}
 */
function evidenceOf(one) {
  const element = make("fieldset", "evidence");
  element.append(make("legend", "", t("field.return.evidence")));
  const said = make("p", "verdict");
  said.setAttribute("role", "status");
  const cell = desk.cells?.find((each) => each.code === one.cell) ?? null;
  /** @type {Point|null} */
  let point = one.location;
  const position = positionField({ onChange: () => {
    if (position.value.position) set(position.value.position);
  } });
  const around = cell ? cornersOf(cell) : one.location ? [one.location] : [];
  const map = around.length
    ? drawMap({
      cells: (desk.cells ?? []).filter((each) => each.level === (cell?.level ?? 3)), cases: [one], selected: one.cell,
      focus: [...around, ...(one.location ? [one.location] : [])], label: t("field.return.evidence"), pick: set,
    })
    : null;

  /** @param {Point|null} next */
  function set(next) {
    point = next;
    map?.mark(next);
    if (next && map && position.value.position === next) map.fit(boxOf([...around, next]) ?? { west: next.lon, east: next.lon, south: next.lat, north: next.lat });
    if (!cell || !next) said.textContent = t("field.return.no_cell");
    else {
      const facts = { cell: cell.name, distance: distance(distanceToOutline(cell.shape, next)) };
      said.textContent = t(covers(cell.shape, next) ? "field.return.inside" : "field.return.outside", facts);
    }
  }

  if (map) element.append(make("p", "hint", t("field.sheet.position.tap")), map.element);
  element.append(said, position.element);
  if (one.location) element.append(button("quiet-button", t("field.return.case_point"), () => set(one.location)));
  set(point);
  return {
    element,
    // The stored point needs no telling: without one the service lays that against the polygon.
    value: () => (point && point !== one.location ? { lon: round(point.lon), lat: round(point.lat), coord_sys: "wgs84" } : null),
  };
}
