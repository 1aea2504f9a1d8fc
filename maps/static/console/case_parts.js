// The parts of the case panel that only show: what it is, where, who answers, by when, and what has happened.

import { make } from "./dom.js";
import { legList } from "./legs.js";
import { nearestChoices } from "./placing.js";
import { known, sign } from "./shapes.js";
import { BEFORE_DISPATCH } from "./store.js";
import { dueText, moment, placeOf, t, timeLeft, waiting } from "./texts.js";
import { candidateList, chainList, holderLine } from "./who.js";
import { whyThisPerson, whyThisTime } from "./why.js";

/** @typedef {import("./types.js").Case} Case */
/** @typedef {import("./types.js").CaseDetail} CaseDetail */

const STAMPS = /** @type {const} */ (["reported_at", "dispatched_at", "acknowledged_at", "handled_at", "closed_at"]);

/**
 * @param {string} key of the title
 * @returns {HTMLElement}
 */
export function section(key) {
  const box = make("section", "panel-section");
  box.append(make("h3", "", t(key)));
  return box;
}

/**
 * Light, time left and the case's own words.
 * @param {Case} one
 * @param {Date} now
 * @param {() => void} close
 * @returns {HTMLElement[]}
 */
export function headParts(one, now, close) {
  const light = known(one.light);
  const head = make("header", "panel-head");
  const status = make("p", "panel-status");
  status.append(sign(light), make("strong", `panel-left left-${light}`, light === "none" ? t(`state.${one.status}`) : timeLeft(one, now)));
  const words = light === "none" ? waiting(one, now) : `${t(`light.${light}`)} · ${t(`state.${one.status}`)}`;
  status.append(make("span", "panel-word", words));
  const button = make("button", "icon-button", "×");
  button.type = "button";
  button.setAttribute("aria-label", t("console.panel.close"));
  button.addEventListener("click", close);
  head.append(status, button);
  if (one.due_at && light !== "none") head.append(make("p", "panel-due", dueText(one, now)));

  const title = make("div", "panel-title");
  const heading = make("h2");
  heading.append(make("span", "panel-code", one.category.code), make("span", "", one.category.name));
  const number = make("p", "panel-number");
  number.append(make("span", "", `#${one.case}`), make("span", "", t("console.panel.version", { version: one.version })));
  number.append(make("bdi", "", t("console.panel.channel", { channel: one.channel_name, ticket: one.ticket })));
  title.append(heading, number);

  const text = make("p", one.text ? "panel-text typed" : "panel-text quiet", one.text || t("console.panel.no_text"));
  text.dir = "auto";
  return [head, title, text];
}

/**
 * @param {Case|CaseDetail} one
 * @param {{take: ((code: string) => void)|null, pin: () => void, centre: () => void}} on `take` lets a cell answer, null when that cannot be said now
 */
export function placePart(one, on) {
  const box = section("console.panel.chain");
  if (one.chain.length) box.append(chainList(one.chain));
  else {
    box.append(make("p", "", one.nearest.length ? t("console.locate.out") : placeOf(one)));
    if (one.nearest.length) box.append(make("p", "quiet", t("console.locate.nearest")), nearestChoices(one.nearest, on.take));
    if (on.take) {
      const pin = make("button", "link", t("desk.place.drag"));
      pin.type = "button";
      pin.addEventListener("click", on.pin);
      box.append(pin);
    }
  }
  if ("accuracy" in one && one.accuracy?.reason) box.append(...candidateList(one.accuracy));
  if (one.address) box.append(make("p", "panel-address typed", one.address));
  if (one.location) {
    const { lon, lat } = one.location;
    const line = make("p", "panel-point");
    const centre = make("button", "link", t("console.panel.centre"));
    centre.type = "button";
    centre.addEventListener("click", on.centre);
    line.append(make("span", "", `${lon.toFixed(6)}, ${lat.toFixed(6)}`), centre);
    box.append(line);
  }
  return box;
}

/**
 * @param {Case|CaseDetail} one
 * @param {import("./types.js").Suggestion|null} suggestion who would get it, while nobody has it
 */
export function responsiblePart(one, suggestion) {
  const box = section("console.panel.responsible");
  const list = make("ul", "holders");
  if (one.head) list.append(holderLine(one.head));
  else if (suggestion) list.append(make("li", "quiet", t("desk.suggested")), holderLine(suggestion.holder));
  else if (!one.chain.length || !BEFORE_DISPATCH.has(one.status)) list.append(make("li", "quiet", t("console.locate.nobody")));
  const backup = "backup" in one ? one.backup : null;
  if (backup) list.append(holderLine(backup));
  box.append(list);
  if (!one.head && suggestion) box.append(whyThisPerson(suggestion.lines));
  else if ("why" in one && one.why?.length) box.append(whyThisPerson(one.why));
  if ("legs" in one && one.legs?.length) {
    box.append(make("p", "repeats-title", t("console.legs.title")), legList(one.legs, new Date()));
  }
  return box;
}

/**
 * @param {Case} one
 * @param {Date} now
 */
export function deadlinePart(one, now) {
  const box = section("console.panel.deadline");
  const facts = make("dl", "facts");
  const add = (/** @type {string} */ key, /** @type {string} */ value) => {
    const pair = make("div");
    pair.append(make("dt", "", t(key)), make("dd", "", value));
    facts.append(pair);
  };
  for (const stamp of STAMPS) {
    const at = one[stamp];
    if (at) add(`console.fact.${stamp}`, moment(new Date(at), now));
  }
  add("console.fact.due_at", one.due_at ? moment(new Date(one.due_at), now) : t("console.time.none"));
  if (one.ledgers.length) add("console.panel.ledgers", one.ledger_names.join("、"));
  box.append(facts);
  if (one.due_at) box.append(whyThisTime(one));
  return box;
}

/**
 * @param {CaseDetail} one
 * @param {Date} now
 */
export function timelinePart(one, now) {
  const box = section("console.panel.timeline");
  const list = make("ol", "timeline");
  for (const event of [...one.events].sort((a, b) => b.seq - a.seq)) {
    const item = make("li");
    const what = event.moves.map((move) => t(`move.${move}`)).join(" → ");
    const line = make("p", "timeline-what");
    line.append(make("strong", "", what), make("time", "", moment(new Date(event.at), now)));
    item.append(line);
    if (event.actor) item.append(make("bdi", "quiet", event.actor));
    if (event.text) item.append(make("p", "timeline-text typed", event.text));
    list.append(item);
  }
  box.append(list);
  return box;
}
