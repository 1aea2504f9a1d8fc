// The wall display. It asks, shows, and asks again, for months: nothing is ever made twice, no list grows, and when
// there is no answer it says so and goes on asking.

import { makePicture } from "./picture.js";

/** @typedef {{case: string, category: string, place: string, due_at: string}} Overdue */
/** @typedef {{name: string, open: number, lights: Record<string, number>}} Place */
/**
 * @typedef {{
 *   as_of: string, day: string, place: string, build: string, grid: number|null, now: Record<string, number>,
 *   rates: {code: string, name: string, numerator: number, denominator: number, percent: string|null}[],
 *   places: Place[], more_places: number, cells: Record<string, {open: number, light: string}>,
 *   overdue: Overdue[], ladder: {code: string, name: string, count: number}[], arrivals: {case: string, cells: string[], at: string}[],
 * }} Wall
 */

const context = /** @type {{locale: string, root: string, texts: Record<string, string>, config: {time_zone: string, build: string}}} */ (JSON.parse(byId("context").textContent ?? "{}"));
const query = new URLSearchParams(location.search);
const EVERY_MS = Math.max(2, Number(query.get("every")) || 10) * 1000;
const TURN_MS = Math.max(0, query.has("turn") ? Number(query.get("turn")) : 20) * 1000;
const STALE_MS = 45_000;
const OLD_MS = 600_000;
const PATIENCE_MS = 15_000;
const RELOAD_MS = 60_000;
const LIGHTS = ["red", "supervised", "yellow", "green", "suspended"];
const clockFormat = new Intl.DateTimeFormat("en-GB", { timeZone: context.config.time_zone, hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const dayFormat = new Intl.DateTimeFormat(context.locale, { timeZone: context.config.time_zone, month: "long", day: "numeric", weekday: "long" });

/** The key that the address carries; it is sent in a header, and the address stays as it is so that a restart finds it. */
const headers = new Headers({ Accept: "application/json", "Accept-Language": context.locale });

/** A key is exchanged by giving the same page another address: it is taken without losing the picture. */
function takeKey() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (key) headers.set("Authorization", `Bearer ${key}`);
  else headers.delete("Authorization");
}
takeKey();

const scenes = /** @type {HTMLElement[]} */ (Array.from(document.querySelectorAll("[data-scene]")));
let scene = 0;
let isHeld = TURN_MS === 0;
let turnedAt = performance.now();
/** When the last answer came, by this machine's own clock, which may go wrong against the service's. */
let answeredAt = -Infinity;
/** @type {Wall|null} */
let wall = null;
/** @type {number|null} */
let grid = null;
/** @type {ReturnType<typeof makePicture>|null} */
let picture = null;
let lastArrival = "";
let isClosed = false;

/**
 * @param {string} id
 * @returns {HTMLElement}
 */
function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element #${id}`);
  return found;
}

/**
 * @param {string} name
 * @param {Record<string, string|number>} [params]
 */
function t(name, params = {}) {
  return (context.texts[name] ?? name).replace(/\{([a-z_]+)\}/g, (whole, field) => (field in params ? String(params[field]) : whole));
}

/**
 * @param {Element} element
 * @param {string} text
 */
function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Let a holder have exactly so many children, reusing those that are there.
 * @param {HTMLElement} holder
 * @param {number} count
 * @param {() => HTMLElement} make
 */
function resize(holder, count, make) {
  while (holder.childElementCount > count) holder.lastElementChild?.remove();
  while (holder.childElementCount < count) holder.append(make());
  return /** @type {HTMLElement[]} */ (Array.from(holder.children));
}

/**
 * @param {number} cells
 * @returns {HTMLElement}
 */
function tableRow(cells) {
  const row = document.createElement("tr");
  for (let i = 0; i < cells; i += 1) row.append(document.createElement(i ? "td" : "th"));
  row.firstElementChild?.setAttribute("scope", "row");
  return row;
}

/** @param {number} milliseconds */
function duration(milliseconds) {
  const minutes = Math.floor(milliseconds / 60_000);
  if (minutes < 1) return t("console.time.now");
  if (minutes < 60) return t("console.time.minutes", { minutes });
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return t("console.time.hours", { hours, minutes: String(minutes % 60).padStart(2, "0") });
  return t("console.time.days", { days: Math.floor(hours / 24), hours: hours % 24 });
}

/** @param {Wall} found */
function show(found) {
  say(byId("place"), found.place || t("console.brand"));
  for (const [name, count] of Object.entries(found.now)) say(byId(`now-${name}`), count.toLocaleString("en-US"));
  const places = /** @type {HTMLElement} */ (byId("places").querySelector("tbody"));
  resize(places, found.places.length, () => tableRow(7)).forEach((row, place) => {
    const one = found.places[place];
    if (!one) return;
    [one.name, ...LIGHTS.map((light) => String(one.lights[light] ?? "·")), String(one.open)].forEach((text, column) => {
      const cell = row.children[column];
      if (!cell) return;
      say(cell, text);
      const light = LIGHTS[column - 1];
      const wanted = light && one.lights[light] ? `is-${light}` : "";
      if (cell.className !== wanted) cell.className = wanted;
    });
  });
  byId("places").hidden = !found.places.length;
  byId("places-empty").hidden = found.places.length > 0;

  const most = Math.max(1, ...found.ladder.map((rung) => rung.count));
  resize(byId("ladder"), found.ladder.length, rungRow).forEach((row, place) => {
    const rung = found.ladder[place];
    const [name, bar, count] = row.children;
    if (!rung || !name || !bar || !count) return;
    say(name, rung.name);
    say(count, rung.count.toLocaleString("en-US"));
    /** @type {HTMLProgressElement} */ (bar).value = rung.count / most;
  });
  byId("ladder-empty").hidden = found.ladder.length > 0;

  const overdue = /** @type {HTMLElement} */ (byId("overdue").querySelector("tbody"));
  resize(overdue, found.overdue.length, () => tableRow(4)).forEach((row, place) => {
    const one = found.overdue[place];
    if (!one) return;
    const late = t("console.time.over", { time: duration(Date.parse(found.as_of) - Date.parse(one.due_at)) });
    [`■ ${late}`, one.category, one.place, one.case].forEach((text, column) => {
      const cell = row.children[column];
      if (cell) say(cell, text);
    });
  });
  byId("overdue-empty").hidden = found.overdue.length > 0;

  resize(byId("today"), found.rates.length, rateRow).forEach((row, place) => {
    const rate = found.rates[place];
    const [name, percent, counts] = row.children;
    if (!rate || !name || !percent || !counts) return;
    say(name, rate.name);
    say(percent, rate.percent === null ? "–" : `${rate.percent} %`);
    say(counts, `${rate.numerator.toLocaleString("en-US")} / ${rate.denominator.toLocaleString("en-US")}`);
  });
  picture?.show(found.cells);
  for (const one of found.arrivals) {
    if (one.at > lastArrival) picture?.ring(one.cells);
  }
  lastArrival = found.arrivals.at(-1)?.at ?? lastArrival;
}

function rungRow() {
  const row = document.createElement("li");
  const bar = document.createElement("progress");
  bar.max = 1;
  bar.setAttribute("aria-hidden", "true");
  row.append(document.createElement("span"), bar, document.createElement("b"));
  return row;
}

function rateRow() {
  const row = document.createElement("div");
  row.append(document.createElement("dt"), document.createElement("dd"), document.createElement("dd"));
  return row;
}

/**
 * @param {string} path
 * @returns {Promise<Response>}
 */
function ask(path) {
  return fetch(context.root + path, { headers, credentials: "same-origin", cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
}

async function look() {
  try {
    const answer = await ask("/v1/wall");
    if (answer.status === 401 || answer.status === 403) {
      close(answer.status);
      return;
    }
    if (!answer.ok) return;
    const found = /** @type {Wall} */ (await answer.json());
    if (found.build !== context.config.build) {
      // A new version of this page: nothing here is worth keeping. Where two versions answer by turns the page would
      // begin again with every look; it does so once a minute at most, and shows what it has meanwhile.
      const last = Number(sessionStorage.getItem("reloaded") ?? 0);
      if (Math.abs(Date.now() - last) > RELOAD_MS) {
        sessionStorage.setItem("reloaded", String(Date.now()));
        location.reload();
        return;
      }
    }
    // Without its outlines the map stays as it is; the numbers do not wait for it.
    if (found.grid !== grid || !picture) await redraw(found.grid).catch(() => undefined);
    open();
    wall = found;
    answeredAt = performance.now();
    show(found);
  } catch {
    // No answer: the line at the top tells how old the numbers are, and the next look comes by itself.
  } finally {
    tick();
    setTimeout(() => void look(), EVERY_MS);
  }
}

/** @param {number|null} wanted */
async function redraw(wanted) {
  const answer = await ask("/v1/wall/cells");
  if (!answer.ok) return;
  const { cells, level } = await answer.json();
  picture = makePicture(byId("picture"), cells, level, t("wall.scene.map"));
  grid = wanted;
  picture.focus();
}

/** @param {number} status */
function close(status) {
  isClosed = true;
  wall = null;
  byId("board").hidden = true;
  byId("closed").hidden = false;
  say(byId("closed-word"), t(status === 401 ? "wall.closed.key" : "wall.closed.scope"));
  say(byId("closed-hint"), t("wall.closed.hint"));
}

function open() {
  if (!isClosed) return;
  isClosed = false;
  byId("board").hidden = false;
  byId("closed").hidden = true;
}

/** Once a second: the clock, how old the numbers are, whose turn it is. */
function tick() {
  const now = new Date();
  say(byId("clock"), clockFormat.format(now));
  say(byId("day"), dayFormat.format(now));
  const age = performance.now() - answeredAt;
  const state = isClosed ? "closed" : !wall ? (performance.now() > STALE_MS ? "lost" : "starting") : age > OLD_MS ? "old" : age > STALE_MS ? "stale" : "live";
  const bar = byId("state");
  if (bar.dataset.state !== state) bar.dataset.state = state;
  say(byId("state-sign"), { starting: "○", live: "●", stale: "▲", old: "■", lost: "■", closed: "■" }[state]);
  const time = wall ? clockFormat.format(new Date(wall.as_of)) : "";
  say(byId("state-text"), t(`wall.state.${state}`, { time, age: duration(Math.max(0, age === Infinity ? 0 : age)) }));
  byId("board").classList.toggle("is-old", state === "old");
  if (!isHeld && performance.now() - turnedAt >= TURN_MS) turn(scene + 1);
}

/** @param {number} next */
function turn(next) {
  scene = (next + scenes.length) % scenes.length;
  turnedAt = performance.now();
  const part = scenes[scene]?.dataset.scene === "map" ? (picture?.focus() ?? "") : null;
  if (part !== null) say(byId("map-title"), part ? `${t("wall.scene.map")} · ${part}` : t("wall.scene.map"));
  scenes.forEach((one, place) => {
    const isHidden = place !== scene;
    if (one.hidden !== isHidden) one.hidden = isHidden;
  });
  Array.from(byId("dots").children).forEach((dot, place) => dot.setAttribute("aria-pressed", String(place === scene)));
}

scenes.forEach((one, place) => {
  const dot = document.createElement("button");
  dot.type = "button";
  dot.textContent = one.getAttribute("aria-label");
  dot.addEventListener("click", () => turn(place));
  byId("dots").append(dot);
});
window.addEventListener("keydown", (event) => {
  if (event.key === "ArrowRight") turn(scene + 1);
  else if (event.key === "ArrowLeft") turn(scene - 1);
  else if (event.key === " " && !(event.target instanceof HTMLButtonElement)) isHeld = !isHeld;
});
const first = scenes.findIndex((one) => one.dataset.scene === query.get("scene"));
window.addEventListener("hashchange", takeKey);
turn(Math.max(0, first));
setInterval(tick, 1000);
void look();
