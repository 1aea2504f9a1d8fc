// What the map shows, as a sentence at its foot: how many cases of which light, and what the shades of the cells mean.

import { byId, make } from "./dom.js";
import { listDutyGaps } from "./service.js";
import { coverage, coverageLegend, shadeLegend, stepOf, stepsOf, workload } from "./shading.js";
import { known, LIGHTS, sign } from "./shapes.js";
import { isIn } from "./store.js";
import { number, t } from "./texts.js";

/** @typedef {import("./shading.js").Shade} Shade */

/** Shifts change at full minutes. */
const DUTY_MS = 60_000;

export class Legend {
  #store;
  #cells;
  /** @type {Shade} */
  shade = "none";
  /** @type {import("./shading.js").DutyGap[]} */
  #gaps = [];
  #gapsReadAt = 0;
  /** What a replay shows of each light at its instant; null while the map shows the present. @type {Record<string, number>|null} */
  #replayed = null;

  /**
   * @param {import("./store.js").Store} store
   * @param {import("./cells.js").Cells} cells
   */
  constructor(store, cells) {
    this.#store = store;
    this.#cells = cells;
    setInterval(() => this.#readGaps(), DUTY_MS);
  }

  /** Who is on duty is asked only while somebody looks at it. */
  #readGaps() {
    if (this.shade !== "coverage" || document.hidden) return;
    this.#gapsReadAt = Date.now();
    void listDutyGaps().then((gaps) => {
      this.#gaps = gaps;
      this.show();
    }, () => undefined);
  }

  /** @param {Record<string, number>|null} lights how many signs of each light a replay shows; null is the present again */
  replay(lights) {
    this.#replayed = lights;
    this.show();
  }

  /** Shade the cells and say what is to be seen. */
  show() {
    const store = this.#store;
    const level = this.#cells.shadedLevel;
    const above = Math.max(0, (this.#cells.levels.at(-1) ?? level) - level);
    const steps = stepsOf(above);
    if (this.shade === "coverage" && Date.now() - this.#gapsReadAt > DUTY_MS) this.#readGaps();
    // Shades speak of the present: under the signs of another hour they would be taken for that hour's.
    const shade = this.#replayed ? "none" : this.shade;
    this.#cells.shade(this.#stepsOfCells(shade, level, above, steps));
    const legend = byId("legend");
    legend.hidden = store.asOf === null || (store.size === 0 && !this.#replayed);
    const { lights, outside } = this.#replayed ? { lights: this.#replayed, outside: 0 } : this.#open();
    const shown = Object.values(lights).reduce((sum, count) => sum + count, 0);
    const parts = [make("span", "", t("console.map.legend", { count: number(shown) }))];
    for (const light of LIGHTS) {
      if (!lights[light]) continue;
      const item = make("span", "legend-item");
      item.append(sign(light), make("span", "", `${t(`light.${light}`)} ${number(lights[light] ?? 0)}`));
      parts.push(item);
    }
    if (outside) {
      const item = make("span", "legend-item");
      item.append(make("i", "legend-outside"), make("span", "", t("console.map.outside", { count: number(outside) })));
      parts.push(item);
    }
    if (shade === "coverage" && above === 0) parts.push(coverageLegend(level));
    else if (shade !== "none") parts.push(shadeLegend(shade, steps, level));
    legend.replaceChildren(...parts);
  }

  /** What is open now and has a place. */
  #open() {
    /** @type {Record<string, number>} */
    const lights = {};
    let outside = 0;
    for (const one of this.#store.all()) {
      if (!one.location) continue;
      if (isIn(one, "out_of_grid")) outside += 1;
      lights[known(one.light)] = (lights[known(one.light)] ?? 0) + 1;
    }
    return { lights, outside };
  }

  /**
   * @param {Shade} shade
   * @param {number} level
   * @param {number} above
   * @param {number[]} steps
   * @returns {Map<string, number>}
   */
  #stepsOfCells(shade, level, above, steps) {
    if (shade === "none") return new Map();
    if (shade === "coverage") return coverage(this.#gaps, level, above > 0 ? steps : null);
    return new Map([...workload(this.#store.all(), shade, level)].map(([code, count]) => [code, stepOf(count, steps)]));
  }
}
