// The dispatcher's page: puts the parts together and keeps queue, map and panel in step.

import { readSpot, remember as keepAddress, spotOf } from "./address.js";
import { Aim } from "./aim.js";
import { bindBox } from "./box.js";
import { Bulk } from "./bulk.js";
import { Cells } from "./cells.js";
import { deskEntries, findCellEntries, ownEntries } from "./commands.js";
import { announce, byId, setText } from "./dom.js";
import { Following } from "./following.js";
import { bindKeys } from "./keys.js";
import { Legend } from "./legend.js";
import { latLngOf } from "./lonlat.js";
import { makeMap } from "./map.js";
import { bindMapKeys } from "./map_keys.js";
import { MOVE_KEYS } from "./moves.js";
import { openNotes } from "./notes.js";
import { Palette } from "./palette.js";
import { Panel } from "./panel.js";
import { Pin } from "./placing.js";
import { Points } from "./points.js";
import { Queue } from "./queue.js";
import { Repeats } from "./repeats.js";
import { Replay } from "./replay.js";
import { getCase, getWorkingTime } from "./service.js";
import { SHADES } from "./shading.js";
import { Sounds } from "./sounds.js";
import { bindSplitter } from "./splitter.js";
import { INBOXES, Store } from "./store.js";
import { placeOf, t, timeLeft } from "./texts.js";
import { readViews, viewEntries } from "./views.js";
import { Who } from "./who.js";
import { keepWorkingTime } from "./working_time.js";

/** @typedef {import("./types.js").Case} Case */
/** @typedef {import("./types.js").Inbox} Inbox */

const store = new Store();
const map = makeMap(() => showWhole());
const cells = new Cells(map);
const points = new Points(map, store, { select: (ref) => select(ref, true, true), isMarked: (ref) => bulk.has(ref) });
const aim = new Aim(map, points);
const legend = new Legend(store, cells);
const who = new Who(map, (chain) => cells.light(chain ?? store.get(store.selected)?.chain ?? []));
const repeats = new Repeats(() => queue.update());
/** @type {Bulk} */
const bulk = new Bulk(store, {
  changed: () => {
    queue.update();
    points.mark();
  },
  after: () => void following.fill(),
});
const queue = new Queue(store, {
  select: (ref, open) => select(ref, open),
  mark: (ref, isRange) => (isRange ? bulk.extendTo(ref) : bulk.toggle(ref)),
  isMarked: (ref) => bulk.has(ref),
  inbox: showInbox,
  badge: (ref) => repeats.badge(ref),
});
bindMapKeys(map);
bindBox(map, (bounds) => {
  const within = store.visible().filter((one) => one.location && bounds.contains(latLngOf([one.location.lon, one.location.lat])));
  bulk.mark(within.map((one) => one.case));
});
const alarms = byId("alarms");
const sounds = new Sounds(() => {
  const count = sounds.waiting.length;
  alarms.hidden = count === 0;
  setText(alarms, t("desk.sounds.waiting", { count }));
});
alarms.addEventListener("click", () => {
  const [worst] = sounds.waiting;
  if (worst) select(worst, true);
  if (alarms.hidden) queue.focus();
});
/** What letting the pin go means: who answers there may be given the case. @type {(code: string) => void} */
let takePlace = () => undefined;
const pin = new Pin(map, (lon, lat) => {
  void who.ask(lon, lat, "wgs84", { act: { label: (name) => t("desk.place.take_cell", { name }), run: (code) => takePlace(code) } });
});
const replay = new Replay(map, (lights) => legend.replay(lights));
const panel = new Panel({
  close: () => back(),
  changed: (one) => store.apply([one]),
  centre: (one) => aim.closer(one),
  open: (ref) => show(ref),
  pin: (one, take) => {
    takePlace = take;
    pin.show(one);
  },
  unpin: () => pin.hide(),
  undoable: (text, token, until) => bulk.offerOne(text, token, until),
});

function showWhole() {
  const bounds = cells.bounds;
  if (bounds?.isValid()) map.fitBounds(bounds, { padding: [24, 24], animate: false });
}

/**
 * Select a case everywhere at once: row, sign, cell, panel, address.
 * @param {string|null} ref
 * @param {boolean} open whether the panel opens; while it is open it follows the selection anyway
 * @param {boolean} [byPin] whether its sign was clicked: then its row comes to the middle, and the sign stays under the pointer
 */
function select(ref, open, byPin = false) {
  const one = store.get(ref);
  store.selected = one ? one.case : null;
  store.invite(store.selected);
  if (one) sounds.settle(one.case);
  who.close();
  if (one && (open || panel.isOpen)) openPanel(one);
  queue.paint();
  if (one) {
    queue.reveal(one.case, byPin);
    aim.at(one, byPin);
  }
  points.ring(one);
  cells.light(one?.chain ?? []);
  remember();
}

/** @param {Case} one */
function openPanel(one) {
  const wasOpen = panel.isOpen;
  panel.open(one);
  if (!wasOpen) aim.resize();
}

/**
 * Open a case by its number: one of the queue, or one that has ended.
 * @param {string} ref
 */
function show(ref) {
  if (store.get(ref)) select(ref, true);
  else void showEnded(ref);
}

/** @param {string} ref */
async function showEnded(ref) {
  const state = byId("map-state");
  try {
    const one = await getCase(ref, new AbortController().signal);
    select(null, false);
    openPanel(one);
    aim.closer(one);
    remember();
  } catch (fault) {
    setText(state, fault instanceof Error ? fault.message : "");
    state.hidden = false;
  }
}

function back() {
  if (panel.isOpen) {
    panel.close();
    aim.resize();
  } else if (store.selected) {
    select(null, false);
  }
  queue.focus();
  remember();
}

/** @param {Inbox} inbox */
function showInbox(inbox) {
  store.inbox = inbox;
  byId("list").scrollTop = 0;
  store.refresh();
  remember();
}

/** Whether somebody has chosen another part of the map than the whole. */
let hasMoved = false;

function remember() {
  keepAddress(() => ({
    inbox: store.inbox === "all" ? null : store.inbox,
    q: store.search || null,
    at: hasMoved ? spotOf(map) : null,
    shade: legend.shade === "none" ? null : legend.shade,
    case: panel.ref,
  }));
}

// --- filters -----------------------------------------------------------------------------------------------------------

const search = /** @type {HTMLInputElement} */ (byId("search"));
const inView = /** @type {HTMLInputElement} */ (byId("in-view"));
function clearFilter() {
  search.value = "";
  store.search = "";
  inView.checked = false;
  store.inView = null;
  aim.frame(null);
  store.refresh();
}
search.addEventListener("input", () => {
  store.search = search.value.trim();
  byId("list").scrollTop = 0;
  store.refresh();
  remember();
});
function boundFilter() {
  const bounds = map.getBounds();
  store.inView = inView.checked ? (one) => one.location !== null && bounds.contains(latLngOf([one.location.lon, one.location.lat])) : null;
  aim.frame(inView.checked ? bounds : null);
  store.refresh();
}
inView.addEventListener("change", boundFilter);
map.on("moveend", () => {
  // Only whoever moves the map chooses what the queue lists: a list that jumped at every selection could not be walked.
  if (inView.checked && !aim.isMoving) boundFilter();
  if (document.documentElement.dataset.ready) {
    hasMoved = true;
    remember();
  }
});

// --- filling and following -------------------------------------------------------------------------------------------

const following = new Following(store, { filled: () => repeats.refresh(), bar: () => aim.resize(), clear: clearFilter });

store.subscribe((changes) => {
  points.apply(changes);
  const fresh = new Set();
  for (const { one, kind, was } of changes) {
    if (following.isArriving(one.case) && kind === "added") {
      fresh.add(one.case);
      points.arrive(one);
      sounds.raise(one.case, "arrived");
      repeats.refresh();
      announce(t("console.live.arrived", { category: one.category.name, place: placeOf(one), time: timeLeft(one, new Date()) }));
    } else if (following.isArriving(one.case) && was && was.status !== one.status) {
      announce(t("console.live.changed", { case: one.case, state: t(`state.${one.status}`) }));
    }
    if (kind === "removed") {
      sounds.settle(one.case);
      repeats.forget(one.case);
    } else if (was && was.light !== one.light && one.light === "red") sounds.raise(one.case, "overdue");
    else if (was && was.light !== one.light && one.light === "yellow") sounds.raise(one.case, "due_soon");
    if (one.case === store.selected) {
      panel.refresh(one);
      points.ring(one);
    }
  }
  points.dim();
  bulk.refresh();
  queue.update(fresh);
  following.sayListState();
  legend.show();
});
map.on("zoomend", () => legend.show());

// --- time, theme, keys -----------------------------------------------------------------------------------------------

setInterval(() => {
  store.tick();
  panel.tick();
}, 30_000);
document.documentElement.addEventListener("themechange", () => {
  cells.repaint();
  points.repaint();
});
window.addEventListener("resize", () => map.invalidateSize({ animate: false }));
bindSplitter(() => aim.resize());
bindKeys({
  next: (step) => select(queue.neighbour(step), false),
  open: () => {
    if (!store.selected) select(queue.neighbour(1), true);
    else select(store.selected, true);
    panel.focus();
  },
  back: () => {
    if (who.isOpen) who.close();
    else if (replay.close()) byId("list").focus();
    else if (!panel.cancelDraft() && !bulk.clear()) back();
  },
  mark: (isRange) => {
    if (!store.selected) return;
    if (isRange) bulk.extendTo(store.selected);
    else bulk.toggle(store.selected);
  },
  undo: () => void bulk.undo(),
  move: (key, isChoosing) => act(MOVE_KEYS[key], isChoosing),
  notes: () => void openNotes(),
  inbox: (at) => showInbox(INBOXES[at] ?? "all"),
  search: () => search.focus(),
  palette: (typed, isAboutPlaces) => palette.open(typed, isAboutPlaces),
  nearest: (at) => {
    if (store.selected && !panel.isOpen) select(store.selected, true);
    void panel.takeNearest(at);
  },
  time: (step) => replay.step(step),
});

/** Ask who covers a point, where everybody can see it. @type {(lon: number, lat: number, coordSys: import("./palette.js").CoordSys, name?: string) => void} */
function askWho(lon, lat, coordSys, name) {
  const goThere = () => map.setView(latLngOf([lon, lat]), Math.max(map.getZoom(), 16), { animate: false });
  void who.ask(lon, lat, coordSys, coordSys === "wgs84" ? { name, goThere } : { name });
}

/** @param {import("./service.js").FoundCell} cell */
function showCell(cell) {
  map.fitBounds(L.latLngBounds(latLngOf(cell.bbox.slice(0, 2)), latLngOf(cell.bbox.slice(2))), { padding: [48, 48], maxZoom: 18, animate: false });
  cells.light(cell.chain);
}

const palette = new Palette({
  who: askWho,
  ask: (typed) => findCellEntries(typed, showCell),
  entries: (words) =>
    deskEntries({
      store,
      moves: () => panel.moves,
      move: (move) => void panel.begin([move], t("console.move.not_now", { move: t(`move.${move}`) })),
      inbox: showInbox,
      open: (ref) => select(ref, true),
      own: () => ownEntries({ sounds, shade: legend.shade, setShade, replay: () => void replay.open(), inView: () => inView.click(), clearFilter, showWhole }),
      views: () => viewEntries({ apply: applyView }),
    }, words),
});
void readViews();

/** @param {URLSearchParams} query filters as the page's address has them */
function applyView(query) {
  search.value = store.search = query.get("q") ?? "";
  legend.shade = SHADES.find((one) => one === query.get("shade")) ?? "none";
  const spot = readSpot(query.get("at") ?? "");
  if (spot) map.setView(latLngOf([spot.lon, spot.lat]), spot.zoom, { animate: false });
  showInbox(INBOXES.find((inbox) => inbox === query.get("inbox")) ?? "all");
}

/** @param {import("./shading.js").Shade} chosen */
function setShade(chosen) {
  legend.shade = chosen;
  remember();
  store.refresh();
}

/**
 * @param {readonly [string, ...string[]]} moves those that a key may mean
 * @param {boolean} isChoosing
 */
function act(moves, isChoosing) {
  if (bulk.press(moves[0])) return;
  if (!store.selected && !panel.isOpen) return;
  if (!panel.isOpen) select(store.selected, true);
  void panel.begin(moves, t("console.move.not_now", { move: t(`move.${moves[0]}`) }), isChoosing);
}

// --- begin -----------------------------------------------------------------------------------------------------------

const address = new URLSearchParams(location.search);
applyView(new URLSearchParams([...address].filter(([key]) => key !== "at")));
const readWorkingTime = () =>
  void getWorkingTime().then((found) => {
    keepWorkingTime(found);
    store.refresh();
  }, () => undefined);
readWorkingTime();
// Holidays are seldom moved, but a page stays open for weeks.
setInterval(readWorkingTime, 3_600_000);

async function showCells() {
  const state = byId("map-state");
  try {
    state.hidden = await cells.begin();
    setText(state, t("console.map.empty"));
    if (address.has("at")) applyView(address);
    else showWhole();
    legend.show();
    await cells.settled();
  } catch {
    setText(state, t("console.map.error"));
    state.hidden = false;
  }
}

void Promise.all([following.filled, showCells()]).then(() => {
  const wanted = address.get("case");
  if (wanted) show(wanted);
  // The keyboard begins where the work is.
  if (document.activeElement === document.body) queue.focus();
  // Tests and the time to first use look for this mark.
  document.documentElement.dataset.ready = "true";
});
