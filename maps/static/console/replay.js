// The last night again: a slider over the hours, the signs as they stood at each instant.

import { latLngOf } from "./lonlat.js";
import { announce, byId, make, setText } from "./dom.js";
import { readColours } from "./points.js";
import { readReplay } from "./service.js";
import { drawSign } from "./shapes.js";
import { moment, number, t } from "./texts.js";

/** @typedef {import("./types.js").Light} Light */
/** @typedef {{at: L.LatLng, due: number, warn: number, steps: {at: number, state: string}[]}} Track */

const HOURS = 12;
const STEP_MS = 5 * 60_000;
/** A night in a minute. */
const PLAY_STEP_MS = 60_000;
const FRAME_MS = 80;
/** As in the queue: ended, or waiting by approval for a date. */
const GONE = new Set(["closed", "declined", "merged", "voided", "suspended"]);
const RUNNING = new Set(["dispatched", "handling", "returned"]);

/**
 * What a case showed at an instant.
 * @param {Track} track
 * @param {number} at
 * @returns {Light|null} null when it was not there
 */
export function lightAt(track, at) {
  let state = "";
  for (const step of track.steps) {
    if (step.at > at) break;
    state = step.state;
  }
  if (!state || GONE.has(state)) return null;
  if (!RUNNING.has(state)) return "none";
  return at > track.due ? "red" : at >= track.warn ? "yellow" : "green";
}

export class Replay {
  #map;
  #canvas;
  #bar = byId("replay");
  #slider = make("input", "replay-slider");
  #time = make("output", "replay-time");
  #play = make("button", "button replay-play");
  /** @type {Track[]} */
  #tracks = [];
  #from = 0;
  #to = 0;
  /** @type {ReturnType<typeof setInterval>|undefined} */
  #timer;
  #colours = readColours();
  #counted;

  /**
   * @param {L.Map} map
   * @param {(lights: Record<string, number>|null) => void} counted told how many signs of each light there were at the instant; null at the end
   */
  constructor(map, counted) {
    this.#map = map;
    this.#counted = counted;
    const pane = map.createPane("replay");
    pane.classList.add("pane-replay");
    this.#canvas = document.createElement("canvas");
    pane.append(this.#canvas);
    this.#slider.type = "range";
    this.#slider.setAttribute("aria-label", t("desk.replay.title"));
    this.#slider.addEventListener("input", () => this.#draw());
    this.#play.type = "button";
    this.#play.addEventListener("click", () => (this.#timer ? this.#pause() : this.#run()));
    const close = make("button", "button", t("desk.replay.live"));
    close.type = "button";
    close.addEventListener("click", () => this.close());
    this.#bar.append(this.#play, this.#slider, this.#time, close);
    map.on("moveend viewreset resize", () => this.#draw());
  }

  get isOpen() {
    return !this.#bar.hidden;
  }

  /** Read the last hours and show them from the beginning. */
  async open() {
    const until = new Date();
    this.#bar.hidden = false;
    setText(this.#time, t("desk.replay.loading"));
    try {
      const found = await readReplay(new Date(until.getTime() - HOURS * 3_600_000).toISOString(), until.toISOString());
      this.#from = Date.parse(found.since);
      this.#to = Date.parse(found.until);
      this.#tracks = found.cases.map((one) => ({
        at: latLngOf([one.lon, one.lat]),
        due: one.due_at ? Date.parse(one.due_at) : Infinity,
        warn: one.warn_at ? Date.parse(one.warn_at) : Infinity,
        steps: one.steps.map(([at, state]) => ({ at: Date.parse(at), state })),
      }));
    } catch (fault) {
      setText(this.#time, fault instanceof Error ? fault.message : "");
      return;
    }
    Object.assign(this.#slider, { min: String(this.#from), max: String(this.#to), step: "1000", value: String(this.#from) });
    document.documentElement.dataset.replay = "true";
    this.#colours = readColours();
    this.#run();
    this.#slider.focus();
  }

  close() {
    if (!this.isOpen) return false;
    this.#pause();
    this.#bar.hidden = true;
    delete document.documentElement.dataset.replay;
    this.#tracks = [];
    this.#draw();
    this.#counted(null);
    announce(t("desk.replay.live"));
    return true;
  }

  /** @param {number} step five minutes back or on; opens the replay when it is not */
  step(step) {
    if (!this.isOpen) {
      void this.open();
      return;
    }
    this.#pause();
    this.#slider.value = String(Number(this.#slider.value) + step * STEP_MS);
    this.#draw();
  }

  #run() {
    if (Number(this.#slider.value) >= this.#to) this.#slider.value = String(this.#from);
    this.#timer = setInterval(() => {
      this.#slider.value = String(Number(this.#slider.value) + PLAY_STEP_MS);
      if (Number(this.#slider.value) >= this.#to) this.#pause();
      this.#draw();
    }, FRAME_MS);
    setText(this.#play, t("desk.replay.pause"));
    this.#draw();
  }

  #pause() {
    clearInterval(this.#timer);
    this.#timer = undefined;
    setText(this.#play, t("desk.replay.play"));
  }

  #draw() {
    const map = this.#map;
    const size = map.getSize();
    const ratio = window.devicePixelRatio || 1;
    const canvas = this.#canvas;
    canvas.width = size.x * ratio;
    canvas.height = size.y * ratio;
    canvas.style.width = `${size.x}px`;
    canvas.style.height = `${size.y}px`;
    L.DomUtil.setPosition(canvas, map.containerPointToLayerPoint([0, 0]));
    const pen = canvas.getContext("2d");
    if (!pen || !this.isOpen) return;
    pen.scale(ratio, ratio);
    const at = Number(this.#slider.value);
    /** @type {Record<string, number>} */
    const lights = {};
    let shown = 0;
    for (const track of this.#tracks) {
      const light = lightAt(track, at);
      if (light === null) continue;
      shown += 1;
      lights[light] = (lights[light] ?? 0) + 1;
      const { x, y } = map.latLngToContainerPoint(track.at);
      if (x < -12 || y < -12 || x > size.x + 12 || y > size.y + 12) continue;
      drawSign(pen, light, x, y, { colour: this.#colours[light], rim: this.#colours.rim });
    }
    const when = moment(new Date(at), new Date());
    setText(this.#time, t("desk.replay.at", { when, count: number(shown) }));
    this.#slider.setAttribute("aria-valuetext", when);
    this.#counted(lights);
  }
}
