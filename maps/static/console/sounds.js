// Sounds for those who look elsewhere: off unless asked for, one per class, again until somebody has looked.

import { announce } from "./dom.js";
import { t } from "./texts.js";

/** @typedef {"arrived"|"due_soon"|"overdue"} Alarm */

export const ALARMS = /** @type {const} */ (["arrived", "due_soon", "overdue"]);
const KEY = "gridward-sounds";
const AGAIN_MS = 20_000;
/** Two tones each, hertz: what is worse is lower and longer. @type {Record<Alarm, {tones: [number, number], seconds: number}>} */
const TONES = { arrived: { tones: [880, 1175], seconds: 0.12 }, due_soon: { tones: [660, 660], seconds: 0.18 }, overdue: { tones: [440, 330], seconds: 0.3 } };

export class Sounds {
  /** @type {Set<Alarm>} */
  #on = new Set();
  /** Cases that somebody has yet to look at, with what happened. @type {Map<string, Alarm>} */
  #waiting = new Map();
  /** @type {AudioContext|null} */
  #audio = null;
  #changed;

  /** @param {() => void} changed called when more or fewer cases wait for somebody to look */
  constructor(changed) {
    this.#changed = changed;
    const kept = (localStorage.getItem(KEY) ?? "").split(",");
    for (const alarm of ALARMS) if (kept.includes(alarm)) this.#on.add(alarm);
    setInterval(() => this.#again(), AGAIN_MS);
  }

  /** @param {Alarm} alarm */
  isOn(alarm) {
    return this.#on.has(alarm);
  }

  /** @param {Alarm} alarm */
  toggle(alarm) {
    if (!this.#on.delete(alarm)) {
      this.#on.add(alarm);
      this.#play(alarm);
    }
    localStorage.setItem(KEY, [...this.#on].join(","));
    announce(t(this.#on.has(alarm) ? "desk.sounds.is_on" : "desk.sounds.is_off", { what: t(`desk.sounds.${alarm}`) }));
  }

  /**
   * @param {string} ref
   * @param {Alarm} alarm
   */
  raise(ref, alarm) {
    if (!this.#on.has(alarm)) return;
    this.#waiting.set(ref, alarm);
    this.#play(alarm);
    this.#changed();
  }

  /** @param {string} ref somebody has looked at it, or it is no longer ours to look at */
  settle(ref) {
    if (this.#waiting.delete(ref)) this.#changed();
  }

  /** Cases that nobody has looked at yet, the worst first. @returns {string[]} */
  get waiting() {
    const rank = (/** @type {Alarm} */ alarm) => ALARMS.indexOf(alarm);
    return [...this.#waiting].sort((a, b) => rank(b[1]) - rank(a[1])).map(([ref]) => ref);
  }

  #again() {
    const worst = [...ALARMS].reverse().find((alarm) => this.#on.has(alarm) && [...this.#waiting.values()].includes(alarm));
    if (worst) this.#play(worst);
  }

  /** @param {Alarm} alarm */
  #play(alarm) {
    // A browser lets a page sound only after somebody has touched it; until then there is nothing to be heard.
    this.#audio ??= new AudioContext();
    const audio = this.#audio;
    void audio.resume().then(() => {
      const { tones, seconds } = TONES[alarm];
      for (const [at, hertz] of tones.entries()) {
        const tone = audio.createOscillator();
        const volume = audio.createGain();
        const begins = audio.currentTime + at * (seconds + 0.04);
        tone.frequency.value = hertz;
        volume.gain.setValueAtTime(0.12, begins);
        volume.gain.exponentialRampToValueAtTime(0.001, begins + seconds);
        tone.connect(volume).connect(audio.destination);
        tone.start(begins);
        tone.stop(begins + seconds);
      }
    }, () => undefined);
  }
}
