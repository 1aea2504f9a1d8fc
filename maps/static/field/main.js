// The field page: which screen is shown, what the line at the top says, and the worker that keeps the page.

import { byId, make, setText } from "../console/dom.js";
import { clock, context, t } from "../console/texts.js";
import { dayMs } from "../console/working_time.js";
import { caseScreen, casesScreen, signInAddress } from "./cases.js";
import { now, wrongBy } from "./clock.js";
import { begin, desk, forget, isHanging, loadCells, loadWorkingTime, parents, refresh, send, stay, useToken, watch } from "./desk.js";
import { cornersOf, drawMap } from "./drawing.js";
import { outboxScreen } from "./outbox.js";
import { recordScreen } from "./record.js";
import { store } from "./store.js";
import { toast } from "./toast.js";

const stage = byId("stage");
const dialogs = /** @type {HTMLDialogElement[]} */ ([byId("sheet"), byId("me-sheet")]);
let shown = "";
/** What the screen was made of; it is made anew only when that has changed. */
let madeOf = "";
let areCellsAsked = false;

/** @returns {[string, string]} name of the screen, and of what */
function screenOf() {
  const [name = "", ...rest] = location.hash.slice(1).split("/");
  if (name === "case") return [name, decodeURIComponent(rest.join("/"))];
  return [["map", "record", "outbox"].includes(name) ? name : "cases", ""];
}

/** @param {boolean} [isMove] whether somebody has gone to another screen */
function show(isMove = false) {
  const [name, about] = screenOf();
  tellNet();
  for (const link of byId("tabs").querySelectorAll("a")) {
    const isHere = link.dataset.tab === name || (name === "case" && link.dataset.tab === "cases");
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const waiting = desk.entries.filter((entry) => entry.state !== "done").length;
  const count = byId("waiting");
  count.hidden = waiting === 0;
  setText(count, String(waiting));
  byId("tab-record").hidden = !desk.day?.may_record;
  setText(byId("me-name"), desk.day?.person.name ?? t("field.me"));
  const facts = desk.day?.person;
  setText(byId("me-facts"), facts ? t("field.me.facts", { name: facts.name, roles: facts.roles.map((role) => t(`role.${role}`)).join("、") }) : "");

  const made = `${name}/${about}/${fingerprint(name)}`;
  if (made === madeOf && !isMove) return;
  // Whoever is filling something in is not disturbed by news.
  if (!isMove && name === "record" && shown === "record") return;
  const isSame = shown === `${name}/${about}` || shown === name;
  const scrolled = stage.scrollTop;
  const hadFocus = stage.contains(document.activeElement);
  madeOf = made;
  shown = name === "case" ? `${name}/${about}` : name;
  stage.replaceChildren(screen(name, about));
  stage.scrollTop = isSame && !isMove ? scrolled : 0;
  if (isMove || hadFocus) stage.focus({ preventScroll: true });
}

/**
 * @param {string} name
 * @returns {string} grows different when the screen has to
 */
function fingerprint(name) {
  const entries = desk.entries.map((entry) => `${entry.id}${entry.state}`).join();
  if (name === "outbox") return `${entries}${desk.day?.person.id}`;
  const cases = desk.day?.cases.map((one) => `${one.case}${one.version}${one.light}${one.moves.length}`).join();
  const state = `${name === "case" || !desk.day ? desk.net : ""}${store.trouble}${Math.round(wrongBy() / 60_000)}`;
  return `${cases}|${entries}|${desk.cells?.length}|${dayMs}|${state}|${Math.floor(now().getTime() / 60_000)}`;
}

/**
 * @param {string} name
 * @param {string} about
 */
function screen(name, about) {
  if (name === "case") return caseScreen(about);
  if (name === "map") return mapScreen();
  if (name === "record") return recordScreen();
  if (name === "outbox") return outboxScreen();
  return casesScreen();
}

function mapScreen() {
  const holder = make("section", "map-screen");
  holder.append(make("h2", "visually-hidden", t("field.map.title")));
  const cells = desk.cells;
  if (!cells) {
    holder.append(make("p", "empty", t(desk.net === "offline" ? "field.map.offline" : "field.map.loading")));
    return holder;
  }
  const cases = desk.day?.cases ?? [];
  const own = cells.filter((cell) => cell.is_own);
  if (!own.length) holder.append(make("p", "hint", t("field.map.none")));
  const focus = (own.length ? own : cells).flatMap(cornersOf);
  const map = drawMap({
    cells, cases, focus, label: t("field.map.label", { cells: cells.length, cases: cases.length }),
    open: (one) => (location.hash = `#case/${encodeURIComponent(one.case)}`),
  });
  map.element.classList.add("is-whole");
  holder.append(map.element);
  return holder;
}

function tellNet() {
  const line = byId("net");
  const time = desk.day ? clock(new Date(desk.day.as_of)) : "";
  const waiting = desk.entries.filter((entry) => entry.state === "waiting" && entry.person === desk.day?.person.id).length;
  line.dataset.state = desk.isSending ? "sending" : desk.net;
  const name = desk.day?.person.name ?? "";
  // Without a day there is no time to name, and nothing that could have been kept.
  const without = `field.net.${desk.net}_empty`;
  let text = t(!desk.day && without in context.texts ? without : `field.net.${desk.net}`, { time, name });
  if (desk.isSending) text = t("field.net.sending", { count: waiting });
  setText(byId("net-text"), desk.detail && desk.net !== "live" ? desk.detail : text);
  let link = line.querySelector("a");
  const needsDoor = desk.net === "signed_out" || desk.net === "other_person";
  if (needsDoor && !link && parent === window) {
    link = make("a", "", t("field.sign_in"));
    link.href = signInAddress();
    line.append(link);
  } else if (needsDoor && parent !== window) setText(byId("net-text"), t("field.embedded"));
  else if (!needsDoor) link?.remove();
}

/**
 * Sign out. What others' eyes should not find on this phone goes first, whether or not the service can be reached.
 * @param {string} door
 */
async function leave(door) {
  await forget();
  try {
    const answer = await fetch(door, { method: "POST", credentials: "same-origin" });
    if (!answer.ok) throw new Error(String(answer.status));
    location.assign(signInAddress());
  } catch {
    stay();
    dialogs[1]?.close();
    toast(t("field.me.out_offline"));
    show(true);
  }
}

window.addEventListener("hashchange", () => {
  for (const dialog of dialogs) dialog.close();
  show(true);
});
window.addEventListener("online", () => void refresh());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") void refresh();
});
window.addEventListener("message", (event) => {
  const said = event.data;
  if (!parents.includes(event.origin) || event.source !== parent) return;
  if (said?.type === "gridward.token" && typeof said.token === "string" && /^gwf_[\w-]{20,90}$/.test(said.token)) useToken(said.token);
});
byId("me").addEventListener("click", () => dialogs[1]?.showModal());
for (const id of ["me-account", "me-out"]) byId(id).hidden = parent !== window;

byId("me-out").addEventListener("submit", (event) => {
  event.preventDefault();
  void leave(/** @type {HTMLFormElement} */ (event.currentTarget).action);
});
window.addEventListener("beforeunload", (event) => {
  if (isHanging()) event.preventDefault();
});

watch(() => {
  show();
  // The outlines come after everything else: the first screen does not need them, a day without a network does.
  if (desk.net === "live" && !areCellsAsked) {
    areCellsAsked = true;
    void loadWorkingTime().then(loadCells).then(() => show());
  }
});
show(true);
void begin();
setInterval(() => show(), 30_000);
setInterval(() => void send(), 20_000);

if ("serviceWorker" in navigator) {
  navigator.serviceWorker
    .register(`${context.root}/field/worker.js`, { type: "module", scope: `${context.root}/field` })
    // An old browser or a page without https: everything works but opening it without a network.
    .catch(() => undefined);
}
