// The dispatcher's page: puts the parts together and keeps queue, map and panel in step.

import { bindBox } from "./box.js";
import { Bulk } from "./bulk.js";
import { Cells, latLngOf } from "./cells.js";
import { deskEntries } from "./commands.js";
import { announce, byId, make, setText } from "./dom.js";
import { bindKeys } from "./keys.js";
import { showListState } from "./list_state.js";
import { Live } from "./live.js";
import { makeMap } from "./map.js";
import { MOVE_KEYS } from "./moves.js";
import { openNotes } from "./notes.js";
import { Palette } from "./palette.js";
import { Panel } from "./panel.js";
import { Pin } from "./placing.js";
import { Points } from "./points.js";
import { Queue } from "./queue.js";
import { Repeats } from "./repeats.js";
import { Replay } from "./replay.js";
import { getCase, getWorkingTime, listCells, listOpenCases, ServiceError } from "./service.js";
import { SHADES, shadeLegend, stepOf, workload } from "./shading.js";
import { known, LIGHTS, sign } from "./shapes.js";
import { ALARMS, Sounds } from "./sounds.js";
import { bindSplitter } from "./splitter.js";
import { INBOXES, Store } from "./store.js";
import { clock, number, placeOf, t, timeLeft } from "./texts.js";
import { readViews, viewEntries } from "./views.js";
import { Who } from "./who.js";
import { keepWorkingTime } from "./working_time.js";

/** @typedef {import("./types.js").Case} Case */
/** @typedef {import("./types.js").Inbox} Inbox */

const store = new Store();
const map = makeMap(() => showWhole());
const cells = new Cells(map);
const points = new Points(map, store, (ref) => select(ref, true));
const who = new Who(map, (code) => cells.light(code ?? leafOf(store.get(store.selected))));
const repeats = new Repeats(() => queue.update());
/** @type {Bulk} */
const bulk = new Bulk(store, { changed: () => queue.update(), after: () => void fill() });
const queue = new Queue(store, {
  select: (ref, open) => select(ref, open),
  mark: (ref, isRange) => (isRange ? bulk.extendTo(ref) : bulk.toggle(ref)),
  isMarked: (ref) => bulk.has(ref),
  inbox: showInbox,
  badge: (ref) => repeats.badge(ref),
});
bindBox(map, (bounds) => {
  const within = store.visible().filter((one) => one.location && bounds.contains(latLngOf([one.location.lon, one.location.lat])));
  bulk.mark(within.map((one) => one.case));
});
const sounds = new Sounds();
/** What letting the pin go means: who answers there may be given the case. @type {(code: string) => void} */
let takePlace = () => undefined;
const pin = new Pin(map, (lon, lat) => {
  void who.ask(lon, lat, "wgs84", { label: (name) => t("desk.place.take_cell", { name }), run: (code) => takePlace(code) });
});
const replay = new Replay(map);
const panel = new Panel({
  close: () => back(),
  changed: (one) => store.apply([one]),
  centre: (one) => centre(one, true),
  open: (ref) => show(ref),
  pin: (one, take) => {
    takePlace = take;
    pin.show(one);
  },
  unpin: () => pin.hide(),
});

function showWhole() {
  const bounds = cells.bounds;
  if (bounds?.isValid()) map.fitBounds(bounds, { padding: [24, 24], animate: false });
}

/** @param {Case|undefined} one */
function leafOf(one) {
  if (!one?.chain.length) return null;
  return [...one.chain].sort((a, b) => b.level - a.level)[0]?.code ?? null;
}

/**
 * @param {Case} one
 * @param {boolean} closer whether to go to a zoom that shows the courtyard
 */
function centre(one, closer) {
  if (!one.location) return;
  const at = latLngOf([one.location.lon, one.location.lat]);
  if (closer) map.setView(at, Math.max(map.getZoom(), 16), { animate: false });
  else if (!map.getBounds().pad(-0.15).contains(at)) map.panTo(at, { animate: false });
}

/**
 * Select a case everywhere at once: row, sign, cell, panel, address.
 * @param {string|null} ref
 * @param {boolean} open whether the panel opens; while it is open it follows the selection anyway
 */
function select(ref, open) {
  const one = store.get(ref);
  store.selected = one ? one.case : null;
  if (one) sounds.settle(one.case);
  who.close();
  if (one && (open || panel.isOpen)) {
    const wasOpen = panel.isOpen;
    panel.open(one);
    if (!wasOpen) map.invalidateSize({ animate: false, pan: false });
  }
  queue.update();
  if (one) {
    queue.reveal(one.case);
    centre(one, false);
  }
  points.ring(one);
  cells.light(leafOf(one));
  remember();
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
    panel.open(one);
    map.invalidateSize({ animate: false, pan: false });
    centre(one, true);
    remember();
  } catch (fault) {
    setText(state, fault instanceof Error ? fault.message : "");
    state.hidden = false;
  }
}

function back() {
  if (panel.isOpen) {
    panel.close();
    map.invalidateSize({ animate: false, pan: false });
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

/** Every view has an address: reload, bookmark and the language link lead back to it. */
function remember() {
  const url = new URL(location.href);
  const put = (/** @type {string} */ key, /** @type {string|null} */ value) => (value ? url.searchParams.set(key, value) : url.searchParams.delete(key));
  put("inbox", store.inbox === "all" ? null : store.inbox);
  put("q", store.search || null);
  const centre = map.getCenter();
  put("at", hasMoved ? `${map.getZoom()}/${centre.lat.toFixed(5)}/${centre.lng.toFixed(5)}` : null);
  put("shade", shade === "none" ? null : shade);
  put("case", panel.ref);
  history.replaceState(null, "", url);
  const link = byId("language");
  const other = new URL(url);
  other.searchParams.set("lang", link.dataset.lang ?? "en");
  link.setAttribute("href", other.search);
}

// --- the list's own states -------------------------------------------------------------------------------------------

let isLoaded = false;
/** @type {string|null} */
let loadFault = null;

const sayListState = () => showListState(store, { isLoaded, fault: loadFault, retry: () => void fill(), clear: clearFilter });

const search = /** @type {HTMLInputElement} */ (byId("search"));
const inView = /** @type {HTMLInputElement} */ (byId("in-view"));
function clearFilter() {
  search.value = "";
  store.search = "";
  inView.checked = false;
  store.inView = null;
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
  store.refresh();
}
inView.addEventListener("change", boundFilter);
map.on("moveend", () => {
  if (inView.checked) boundFilter();
  if (document.documentElement.dataset.ready) {
    hasMoved = true;
    remember();
  }
});

// --- filling and following -------------------------------------------------------------------------------------------

/** Read every open case, page by page; also the way back after a gap. */
async function fill() {
  loadFault = null;
  sayListState();
  const skeleton = setTimeout(() => byId("list").classList.toggle("is-loading", !isLoaded), 300);
  const before = store.versions();
  try {
    const open = new Set();
    let cursor = null;
    do {
      const page = /** @type {Awaited<ReturnType<typeof listOpenCases>>} */ (await listOpenCases(cursor));
      store.asOf = new Date(page.as_of);
      for (const one of page.cases) open.add(one.case);
      isLoaded = true;
      byId("list").classList.remove("is-loading");
      store.apply(page.cases);
      cursor = page.next;
    } while (cursor);
    store.keepOnly(open, before);
    repeats.refresh();
  } catch (fault) {
    const reason = fault instanceof ServiceError ? fault.message : String(fault);
    loadFault = store.size ? t("console.queue.error_kept", { reason }) : reason;
  } finally {
    clearTimeout(skeleton);
    byId("list").classList.remove("is-loading");
    store.refresh();
  }
}

/** @type {Set<string>} */
const arriving = new Set();
let isFollowing = false;

store.subscribe((changes) => {
  points.apply(changes);
  const fresh = new Set();
  for (const { one, kind, was } of changes) {
    if (arriving.has(one.case) && kind === "added") {
      fresh.add(one.case);
      points.arrive(one);
      sounds.raise(one.case, "arrived");
      repeats.refresh();
      announce(t("console.live.arrived", { category: one.category.name, place: placeOf(one), time: timeLeft(one, new Date()) }));
    } else if (arriving.has(one.case) && was && was.status !== one.status) {
      announce(t("console.live.changed", { case: one.case, state: t(`state.${one.status}`) }));
    }
    if (kind === "removed") sounds.settle(one.case);
    else if (was && was.light !== one.light && one.light === "red") sounds.raise(one.case, "overdue");
    else if (was && was.light !== one.light && one.light === "yellow") sounds.raise(one.case, "due_soon");
    if (one.case === store.selected) {
      panel.refresh(one);
      points.ring(one);
    }
    arriving.delete(one.case);
  }
  points.dim();
  bulk.refresh();
  showWorkload();
  queue.update(fresh);
  sayListState();
  showLegend();
});

/**
 * Called by whoever begins to read the first list: the stream when it opens, or the clock when it does not.
 * @type {(filling: Promise<void>|null) => void}
 */
let firstTry = () => undefined;
/** Settles when the first list has been read. @type {Promise<void>} */
const filled = new Promise((resolve) => {
  firstTry = (filling) => {
    firstTry = () => undefined;
    void (filling ?? fill()).then(resolve);
  };
});

/** Events of one frame are shown together: a burst costs one update. @type {Map<string, Case>} */
let burst = new Map();
const live = new Live({
  event: (one) => {
    const waiting = burst.get(one.case);
    if (!waiting || waiting.version < one.version) burst.set(one.case, one);
    if (isFollowing) return;
    isFollowing = true;
    // Not requestAnimationFrame: a tab in the background must stay up to date as well.
    setTimeout(() => {
      isFollowing = false;
      const cases = [...burst.values()];
      burst = new Map();
      for (const one of cases) arriving.add(one.case);
      store.asOf = new Date();
      store.apply(cases);
      arriving.clear();
    }, 16);
  },
  up: (again) => {
    showLine();
    // The list is read after the stream has opened: what happens in between is in both, never in neither.
    const filling = fill();
    if (again) void filling.then(() => announce(t("console.live.back")));
    else firstTry(filling);
  },
  down: () => {
    showLine();
    firstTry(null);
  },
});

function showLine() {
  const since = live.lostSince;
  byId("live").dataset.state = since === null ? "on" : "off";
  setText(byId("live-word"), t(since === null ? "console.live.on" : "console.live.off"));
  // A hiccup of two seconds heals by itself; a bar for it would only teach people to ignore the bar.
  const seconds = since === null ? 0 : Math.floor((Date.now() - since) / 1000);
  const bar = byId("lost");
  const isLost = since !== null && seconds >= 2;
  if (bar.hidden === isLost) {
    bar.hidden = !isLost;
    map.invalidateSize({ animate: false, pan: false });
  }
  if (isLost) setText(byId("lost-text"), t("console.live.lost", { seconds, at: clock(store.asOf ?? new Date(since)) }));
}
byId("lost-retry").addEventListener("click", () => live.connect());

/** @type {import("./shading.js").Shade} */
let shade = "none";
function showWorkload() {
  const steps = new Map([...workload(store.all(), shade)].map(([code, count]) => [code, stepOf(count)]));
  cells.shade(steps);
}

function showLegend() {
  const legend = byId("legend");
  legend.hidden = store.asOf === null || store.size === 0;
  /** @type {Record<string, number>} */
  const counts = {};
  let shown = 0;
  for (const one of store.all()) {
    if (!one.location) continue;
    shown += 1;
    counts[known(one.light)] = (counts[known(one.light)] ?? 0) + 1;
  }
  const parts = [make("span", "", t("console.map.legend", { count: number(shown) }))];
  for (const light of LIGHTS) {
    if (!counts[light]) continue;
    const item = make("span", "legend-item");
    item.append(sign(light), make("span", "", `${t(`light.${light}`)} ${number(counts[light] ?? 0)}`));
    parts.push(item);
  }
  if (shade !== "none") parts.push(shadeLegend(shade));
  legend.replaceChildren(...parts);
}

// --- time, theme, keys -----------------------------------------------------------------------------------------------

let lastSecond = Date.now();
setInterval(() => {
  const now = Date.now();
  setText(byId("clock"), clock(new Date(now)));
  if (live.lostSince !== null) showLine();
  // A computer that slept, or a tab that was frozen: the stream may look open and have lost its other end.
  if (now - lastSecond > 20_000) live.connect();
  lastSecond = now;
}, 1000);
setInterval(() => {
  store.tick();
  panel.tick();
}, 30_000);
document.documentElement.addEventListener("themechange", () => {
  cells.repaint();
  points.repaint();
});
window.addEventListener("resize", () => map.invalidateSize({ animate: false }));
bindSplitter(() => map.invalidateSize({ animate: false, pan: false }));
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
  move: (key) => act(MOVE_KEYS[key]),
  inbox: (at) => showInbox(INBOXES[at] ?? "all"),
  search: () => search.focus(),
  palette: (typed) => palette.open(typed),
  nearest: (at) => panel.takeNearest(at),
  time: (step) => replay.step(step),
});

const palette = new Palette({
  who: (lon, lat, coordSys) => {
    if (coordSys === "wgs84") map.setView(latLngOf([lon, lat]), Math.max(map.getZoom(), 16), { animate: false });
    void who.ask(lon, lat, coordSys);
  },
  entries: (words) =>
    deskEntries({
      store,
      moves: () => panel.moves,
      move: (move) => void panel.begin([move], t("console.move.not_now", { move: t(`move.${move}`) })),
      inbox: showInbox,
      open: (ref) => select(ref, true),
      cells: () => cells.names(),
      cell: (code) => {
        const bounds = cells.boundsOf(code);
        if (bounds) map.fitBounds(bounds, { padding: [48, 48], animate: false });
        cells.light(code);
      },
      own: () => [
        { name: t("desk.notes.title"), run: () => void openNotes() },
        { name: t("desk.replay.title"), keys: "[ ]", run: () => void replay.open() },
        ...SHADES.filter((one) => one !== shade).map((one) => ({ name: t(`desk.shade.${one}`), run: () => setShade(one) })),
        ...ALARMS.map((alarm) => ({ name: t(sounds.isOn(alarm) ? "desk.sounds.turn_off" : "desk.sounds.turn_on", { what: t(`desk.sounds.${alarm}`) }), run: () => sounds.toggle(alarm) })),
        { name: t("desk.in_view"), run: () => inView.click() },
        { name: t("desk.clear_filter"), run: clearFilter },
        { name: t("console.map.all"), run: showWhole },
        { name: t("console.theme"), run: () => document.querySelector("[data-toggle-theme]")?.dispatchEvent(new MouseEvent("click", { bubbles: true })) },
        { name: t("console.keys.title"), keys: "?", run: () => byId("help-open").click() },
      ],
      views: () => viewEntries({ apply: applyView }),
    }, words),
});
void readViews();

/** @param {URLSearchParams} query filters as the page's address has them */
function applyView(query) {
  search.value = store.search = query.get("q") ?? "";
  shade = SHADES.find((one) => one === query.get("shade")) ?? "none";
  const [zoom, lat, lon] = (query.get("at") ?? "").split("/").map(Number);
  if (zoom && lat !== undefined && lon !== undefined && Number.isFinite(zoom + lat + lon)) map.setView(latLngOf([lon, lat]), zoom, { animate: false });
  showInbox(INBOXES.find((inbox) => inbox === query.get("inbox")) ?? "all");
}

/** @param {import("./shading.js").Shade} chosen */
function setShade(chosen) {
  shade = chosen;
  remember();
  store.refresh();
}

/** @param {readonly [string, ...string[]]} moves those that a key may mean */
function act(moves) {
  if (!store.selected) return;
  if (!panel.isOpen) select(store.selected, true);
  void panel.begin(moves, t("console.move.not_now", { move: t(`move.${moves[0]}`) }));
}

// --- begin -----------------------------------------------------------------------------------------------------------

const address = new URLSearchParams(location.search);
shade = SHADES.find((one) => one === address.get("shade")) ?? "none";
search.value = store.search = address.get("q") ?? "";
store.inbox = INBOXES.find((inbox) => inbox === address.get("inbox")) ?? "all";
showLine();
byId("live").dataset.state = "connecting";
setText(byId("live-word"), t("console.live.connecting"));
setText(byId("clock"), clock(new Date()));
queue.update();
live.connect();
const readWorkingTime = () =>
  void getWorkingTime().then((found) => {
    keepWorkingTime(found);
    store.refresh();
  }, () => undefined);
readWorkingTime();
// Holidays are seldom moved, but a page stays open for weeks.
setInterval(readWorkingTime, 3_600_000);
setTimeout(() => firstTry(null), 1500);

async function showCells() {
  const state = byId("map-state");
  try {
    const collections = await Promise.all([1, 2, 3].map(listCells));
    cells.show(collections);
    showWorkload();
    showWhole();
    state.hidden = collections.some((one) => one.features.length > 0);
    setText(state, t("console.map.empty"));
  } catch {
    setText(state, t("console.map.error"));
    state.hidden = false;
  }
}

void Promise.all([filled, showCells()]).then(() => {
  const wanted = address.get("case");
  if (address.has("at")) applyView(address);
  if (wanted) show(wanted);
  // Tests and the time to first use look for this mark.
  document.documentElement.dataset.ready = "true";
});
