// What the map shows, as a sentence at its foot: how many cases of which light, and what the shades of the cells mean.

import { byId, make } from "./dom.js";
import { shadeLegend, stepOf, stepsOf, workload } from "./shading.js";
import { known, LIGHTS, sign } from "./shapes.js";
import { number, t } from "./texts.js";

/** @typedef {import("./shading.js").Shade} Shade */

export class Legend {
  #store;
  #cells;
  /** @type {Shade} */
  shade = "none";

  /**
   * @param {import("./store.js").Store} store
   * @param {import("./cells.js").Cells} cells
   */
  constructor(store, cells) {
    this.#store = store;
    this.#cells = cells;
  }

  /** Shade the cells and say what is to be seen. */
  show() {
    const store = this.#store;
    const level = this.#cells.shadedLevel;
    const steps = stepsOf(Math.max(0, (this.#cells.levels.at(-1) ?? level) - level));
    const counts = this.shade === "none" ? [] : workload(store.all(), this.shade, level);
    this.#cells.shade(new Map([...counts].map(([code, count]) => [code, stepOf(count, steps)])));
    const legend = byId("legend");
    legend.hidden = store.asOf === null || store.size === 0;
    /** @type {Record<string, number>} */
    const lights = {};
    let shown = 0;
    for (const one of store.all()) {
      if (!one.location) continue;
      shown += 1;
      lights[known(one.light)] = (lights[known(one.light)] ?? 0) + 1;
    }
    const parts = [make("span", "", t("console.map.legend", { count: number(shown) }))];
    for (const light of LIGHTS) {
      if (!lights[light]) continue;
      const item = make("span", "legend-item");
      item.append(sign(light), make("span", "", `${t(`light.${light}`)} ${number(lights[light] ?? 0)}`));
      parts.push(item);
    }
    if (this.shade !== "none") parts.push(shadeLegend(this.shade, steps, level));
    legend.replaceChildren(...parts);
  }
}
