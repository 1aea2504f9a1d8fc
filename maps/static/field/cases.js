// The list of cases by deadline, and one case as one screen.

import { make } from "../console/dom.js";
import { known, sign } from "../console/shapes.js";
import { context, duration, t, timeLeft } from "../console/texts.js";
import { now, wrongBy } from "./clock.js";
import { ask, desk, enqueue } from "./desk.js";
import { cornersOf, drawMap } from "./drawing.js";
import { button, clockOf, when } from "./parts.js";
import { openSheet } from "./sheets.js";
import { store } from "./store.js";
import { toast, toastSaved } from "./toast.js";

/** @typedef {import("./types.js").FieldCase} FieldCase */
/** @typedef {import("./types.js").Leg} Leg */

/** @type {"mine"|"area"|null} chosen by hand; else mine, unless there is nothing of it */
let chosenKind = /** @type {"mine"|"area"|null} */ (null);
/** Whose other moves are folded out; a screen that is drawn anew leaves them so. */
let unfolded = "";
/** Moves that do not end what is to be done. */
const PASSING = new Set(["acknowledge", "request_extension", "answer_supervision", "report_phase"]);
/** What was told of the case looked at last: photos are not fetched again with every minute that passes. */
const told = { of: "", wanted: "", history: make("section", "history"), photos: make("section", "case-photos"), addresses: /** @type {string[]} */ ([]) };

/** @param {FieldCase} one */
function isTodo(one) {
  return one.is_mine && (one.moves.length > 0 || one.legs.length > 0 || one.status === "suspended");
}

/** @returns {HTMLElement} */
export function casesScreen() {
  const screen = make("section", "cases");
  const day = desk.day;
  if (!day) {
    screen.append(emptyOf());
    return screen;
  }
  const mine = day.cases.filter(isTodo);
  const shows = chosenKind ?? (mine.length || !day.cases.length ? "mine" : "area");
  // What rests does not press: it comes after everything that runs.
  const chosen = [...(shows === "mine" ? mine : day.cases)].sort((a, b) => Number(a.status === "suspended") - Number(b.status === "suspended"));
  const kinds = make("div", "kinds");
  kinds.setAttribute("role", "group");
  kinds.setAttribute("aria-label", t("field.tab.cases"));
  for (const [kind, count] of /** @type {[string, number][]} */ ([["mine", mine.length], ["area", day.cases.length]])) {
    const choice = button("kind", `${t(`field.cases.${kind}`)} ${count}`, () => {
      chosenKind = /** @type {"mine"|"area"} */ (kind);
      screen.replaceWith(casesScreen());
    });
    choice.setAttribute("aria-pressed", String(kind === shows));
    kinds.append(choice);
  }
  screen.append(...noticesOf(), kinds);
  if (!chosen.length) {
    const empty = make("div", "empty");
    empty.append(make("p", "empty-word", t("field.cases.none")), make("p", "hint", t("field.cases.none_hint")));
    screen.append(empty);
    return screen;
  }
  const list = make("ol", "case-list");
  for (const one of chosen) list.append(row(one));
  screen.append(list);
  if (day.more) screen.append(make("p", "hint", t("field.cases.more", { count: day.cases.length })));
  return screen;
}

/** @returns {string} the door, which leads back here */
export function signInAddress() {
  return `${context.root}/sign-in?next=${encodeURIComponent(`${context.root}/field`)}`;
}

/** @returns {HTMLElement} why there is nothing to show yet, and the way out */
function emptyOf() {
  const empty = make("div", "empty");
  const word = desk.net === "starting" ? "field.cases.loading" : desk.net === "forbidden" ? "field.net.forbidden" : `field.net.${desk.net}_empty`;
  empty.append(make("p", desk.net === "signed_out" ? "empty-word" : "", t(word in context.texts ? word : `field.net.${desk.net}`)));
  if (desk.net === "signed_out" && parent === window) {
    const link = make("a", "primary wide", t("field.sign_in"));
    link.href = signInAddress();
    empty.append(link);
  }
  return empty;
}

/** @returns {HTMLElement[]} what somebody has to know before going on */
function noticesOf() {
  const off = wrongBy();
  const asking = desk.entries.filter((entry) => entry.state === "conflict" || entry.state === "refused").length;
  const said = [];
  if (asking) {
    const link = make("a", "note", t("field.notice.asking", { count: asking }));
    link.href = "#outbox";
    said.push(link);
  }
  if (store.trouble) said.push(make("p", "note", t(`field.notice.${store.trouble}`)));
  if (off) said.push(make("p", "note", t(off > 0 ? "field.notice.slow" : "field.notice.fast", { time: duration(Math.abs(off)) })));
  return said;
}

/**
 * A case as it will be when what waits on the phone has arrived: nothing is offered twice.
 * @param {FieldCase} one
 * @returns {FieldCase}
 */
function ahead(one) {
  let { status, moves } = one;
  for (const { state, deed } of desk.entries) {
    if (state !== "waiting" || deed.kind !== "move" || deed.case !== one.case || !moves.includes(deed.move ?? "")) continue;
    if (deed.move === "acknowledge") [status, moves] = ["handling", ["report_back", "request_extension", "request_suspend"]];
    else moves = PASSING.has(deed.move ?? "") ? moves.filter((move) => move !== deed.move) : [];
  }
  return status === one.status && moves === one.moves ? one : { ...one, status, moves };
}

/** @param {FieldCase} one */
function row(one) {
  const item = make("li");
  const link = make("a", "case-row");
  link.href = `#case/${encodeURIComponent(one.case)}`;
  const light = known(one.light);
  const top = make("span", "row-top");
  top.append(sign(light), make("strong", `light-${light}`, timeLeft(/** @type {any} */ (one), now())), make("span", "row-state", t(`state.${ahead(one).status}`)));
  const middle = make("span", "row-title");
  middle.append(make("b", "", one.category.name), make("span", "typed row-text", one.text));
  const foot = make("span", "row-foot typed", [one.address, ...one.place].filter(Boolean).join(" · "));
  link.append(top, middle, foot);
  const waits = waiting(one.case);
  if (waits) link.append(make("span", "row-waits", t("field.case.waiting", { count: waits })));
  item.append(link);
  return item;
}

/** @param {string} ref */
function waiting(ref) {
  return desk.entries.filter((entry) => entry.deed.case === ref && entry.state !== "done").length;
}

/**
 * @param {string} ref
 * @returns {HTMLElement}
 */
export function caseScreen(ref) {
  const screen = make("article", "case");
  const found = desk.day?.cases.find((each) => each.case === ref);
  const one = found && ahead(found);
  if (!one) {
    screen.append(make("p", "empty", t("field.case.not_there")), back());
    return screen;
  }
  const head = make("header", "case-head");
  head.append(make("h2", "", one.category.name), make("p", "quiet", `${t(`state.${one.status}`)} · ${one.case}`), clockOf(one));
  screen.append(head);
  for (const [has, text] of /** @type {[unknown, string][]} */ ([
    [waiting(ref), t("field.case.waiting", { count: waiting(ref) })],
    [one.supervised_until, t("field.case.supervised", { when: when(one.supervised_until) })],
    [one.asked, t("field.case.asked")],
    [one.returns, t("field.case.returns", { count: one.returns })],
    [one.confirm_on_site, t("field.case.confirm", { accuracy: Math.round(one.accuracy_m ?? 0) })],
  ])) if (has) screen.append(make("p", "note", text));
  screen.append(make("p", "case-text typed", one.text));
  screen.append(whereOf(one));
  const legs = one.legs.map((leg) => legOf(one, leg));
  screen.append(...legs);
  const of = `${ref}/${one.version}`;
  if (told.of !== of) {
    told.of = "";
    told.wanted = of;
    told.addresses.splice(0).forEach((address) => URL.revokeObjectURL(address));
    told.photos.replaceChildren();
    told.history.replaceChildren(make("h3", "", t("field.case.history")), make("p", "hint", t("field.case.history_offline")));
    void tell(one, of);
  }
  screen.append(told.photos, told.history, actionsOf(one));
  return screen;
}

function back() {
  const link = make("a", "secondary", t("field.back"));
  link.href = "#cases";
  return link;
}

/** @param {FieldCase} one */
function whereOf(one) {
  const where = make("section", "where");
  where.append(make("h3", "", t("field.case.where")));
  const words = [one.address, ...one.place].filter(Boolean).join(" · ");
  if (words) where.append(make("p", "typed", words));
  if (one.head) where.append(make("p", "quiet typed", t("field.case.head", { name: one.head })));
  if (!one.location) {
    where.append(make("p", "hint", t("field.case.no_point")));
    return where;
  }
  const cell = desk.cells?.find((each) => each.code === one.cell);
  const map = drawMap({ cells: cell ? [cell] : [], cases: [one], focus: cell ? cornersOf(cell) : [one.location], selected: one.cell, hasTools: false, label: `${t("field.case.where")}: ${one.place.join(" · ")}` });
  where.append(map.element, walkLinks(one));
  return where;
}

/**
 * The phone's own maps, each with the datum it wants: system maps take WGS84, Amap GCJ-02, Baidu converts for itself.
 * @param {FieldCase} one
 */
function walkLinks(one) {
  const links = make("p", "walk");
  links.append(make("span", "quiet", t("field.case.walk")));
  const { lon, lat } = one.location ?? { lon: 0, lat: 0 };
  const name = encodeURIComponent(one.category.name);
  const isApple = /iPhone|iPad|Macintosh/.test(navigator.userAgent);
  const amap = one.gcj02 ? `${isApple ? "iosamap" : "androidamap"}://viewMap?sourceApplication=gridward&poiname=${name}&lat=${one.gcj02.lat}&lon=${one.gcj02.lon}&dev=0` : null;
  for (const [word, address] of /** @type {[string, string|null][]} */ ([
    ["system", `geo:${lat},${lon}?q=${lat},${lon}(${name})`],
    ["amap", amap],
    ["baidu", `baidumap://map/marker?location=${lat},${lon}&title=${name}&content=${name}&coord_type=wgs84&src=gridward`],
  ])) {
    if (!address) continue;
    const link = make("a", "", t(`field.case.walk.${word}`));
    link.href = address;
    links.append(link);
  }
  return links;
}

/**
 * @param {FieldCase} one
 * @param {Leg} leg
 */
function legOf(one, leg) {
  const part = make("section", "leg");
  part.append(make("h3", "", t("field.case.leg", { department: leg.department_name })), make("p", "quiet", `${leg.status_name} · ${when(leg.due_at)}`));
  if (leg.task) part.append(make("p", "typed", leg.task));
  const row = make("div", "leg-moves");
  leg.moves.forEach((move, place) => row.append(button(place ? "secondary" : "primary", t(`move.${move}`), () => openSheet(one, move, leg))));
  part.append(row);
  return part;
}

/** @param {FieldCase} one */
function actionsOf(one) {
  const bar = make("div", "actions");
  bar.append(back());
  const [first, ...others] = one.moves;
  if (!first) {
    bar.append(make("p", "hint", t("field.case.nothing")));
    return bar;
  }
  if (others.length) {
    const more = make("details", "more");
    const list = make("div", "more-list");
    for (const move of others) list.append(button("row-button", t(`move.${move}`), () => openSheet(one, move, null)));
    more.append(make("summary", "secondary", t("field.case.more")), list);
    more.open = unfolded === one.case;
    more.addEventListener("toggle", () => (unfolded = more.open ? one.case : ""));
    bar.append(more);
  }
  const primary = button("primary", t(`move.${first}`), () => void begin(one, first));
  bar.append(primary);
  return bar;
}

/**
 * @param {FieldCase} one
 * @param {string} move
 */
async function begin(one, move) {
  if (move !== "acknowledge") {
    openSheet(one, move, null);
    return;
  }
  // Nothing to fill in: one tap, and the next step is there at once, with or without a network.
  try {
    toastSaved(await enqueue({ kind: "move", case: one.case, move }, { title: `${t("move.acknowledge")} · ${one.category.name}`, one }));
  } catch (fault) {
    toast(t("field.sheet.not_saved", { problem: fault instanceof Error ? fault.message : String(fault) }));
  }
}

/**
 * What only the service knows: the history and the photos.
 * @param {FieldCase} one
 * @param {string} of
 */
async function tell(one, of) {
  if (desk.net !== "live") return;
  try {
    const ref = encodeURIComponent(one.case);
    const [case_, pictures] = await Promise.all([ask(`/v1/cases/${ref}`), ask(`/v1/cases/${ref}/photos`)]);
    // Somebody may have gone on to another case meanwhile.
    if (!case_.ok || !pictures.ok || told.wanted !== of) return;
    told.of = of;
    const list = make("ol", "events");
    for (const event of [...(await case_.json()).events].reverse()) {
      const line = make("li");
      const words = event.moves.map((/** @type {string} */ move) => t(`move.${move}`)).join(" · ");
      line.append(make("b", "", words || event.type), make("span", "quiet", `${when(event.at)} · ${event.actor}`));
      if (event.text) line.append(make("span", "typed", event.text));
      list.append(line);
    }
    told.history.replaceChildren(make("h3", "", t("field.case.history")), list);
    const shown = make("ul", "photo-list");
    for (const photo of (await pictures.json()).photos) shown.append(await pictureOf(photo));
    if (shown.childElementCount && told.wanted === of) told.photos.replaceChildren(make("h3", "", t("field.case.photos")), shown);
  } catch {
    // The hint that it takes a network stays.
  }
}

/** @param {{id: string, kind: string}} photo */
async function pictureOf(photo) {
  const item = make("li");
  // Not the address itself: inside an app there is no cookie, and a picture's address carries no token.
  const answer = await ask(`/v1/photos/${encodeURIComponent(photo.id)}?size=preview`);
  if (!answer.ok) return item;
  const picture = make("img");
  picture.alt = t("field.case.photos");
  picture.src = URL.createObjectURL(await answer.blob());
  told.addresses.push(picture.src);
  item.append(picture);
  return item;
}
