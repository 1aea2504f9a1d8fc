// @ts-check
// Other colourings of the same cells: a slider through time, or a choice of classes and ledgers.
(function () {
  "use strict";

  /** @typedef {any} Leaflet */
  const gridward = /** @type {any} */ (window).gridward;
  const { make } = gridward;
  const PAUSE_MS = 900;

  /**
   * @param {Leaflet} group The cells.
   * @param {[string, string, string, string[]?]} variant Name, heading, tones, words.
   * @param {string[]} classes What the legend says of each class, for maps that carry no words.
   */
  function recolour(group, variant, classes) {
    const [, , tones, tips] = variant;
    let at = 0;
    const byPlace = group.gw.places;
    group.eachLayer((/** @type {Leaflet} */ polygon) => {
      const place = byPlace ? byPlace.get(polygon) : at;
      at += 1;
      const tone = tones[place] || "-";
      polygon.gw.tone = tone;
      polygon.gw.tip = tips ? tips[place] : tone === "-" ? classes[0] : tone === "h" ? classes[1] : classes[2 + parseInt(tone, 16)];
    });
    gridward.restyle(group);
  }

  /**
   * Add the control.
   *
   * @param {Leaflet} map
   * @param {Leaflet} group
   * @param {{control: string, variants: [string, string, string, string[]?][], legends: Record<string, [string, number, string, string][]>,
   *   texts: Record<string, string>}} content
   * @param {() => void} changed
   */
  function variants(map, group, content, changed) {
    const all = content.variants;
    if (!all || all.length === 0) return;
    const { texts } = content;
    const signs = (content.legends.cells ?? []).filter(([sign]) => sign === "class").map(([, , words]) => words);
    const classes = [texts["tip.none"] || "", texts["tip.small"] || "", ...signs];

    /** @param {number} at */
    const show = (at) => {
      const variant = all[at];
      if (!variant) return;
      recolour(group, variant, classes);
      changed();
    };
    /** @param {number} at */
    const nameOf = (at) => all[at]?.[0] ?? "";
    /** @param {string} key */
    const say = (key) => texts[key] ?? "";

    const box = make("div", "", `gw-variants gw-${content.control}`);
    box.append(...(content.control === "slider" ? slider() : choice()));
    // Between map and legend: it must not hide what it changes.
    map.getContainer().after(box);

    function choice() {
      const label = make("label", texts["variants.layer"]);
      const select = /** @type {HTMLSelectElement} */ (make("select"));
      /** @type {HTMLElement} */
      let under = select;
      let heading = "";
      all.forEach(([name, group], at) => {
        if (group && group !== heading) {
          under = /** @type {HTMLElement} */ (make("optgroup"));
          under.setAttribute("label", group);
          select.append(under);
          heading = group;
        }
        const option = /** @type {HTMLOptionElement} */ (make("option", name));
        option.value = String(at);
        under.append(option);
      });
      select.addEventListener("change", () => show(Number(select.value)));
      label.append(select);
      return [label];
    }

    function slider() {
      const play = /** @type {HTMLButtonElement} */ (make("button", "▶"));
      play.type = "button";
      play.setAttribute("aria-label", say("variants.play"));
      const range = /** @type {HTMLInputElement} */ (make("input"));
      range.type = "range";
      range.min = "0";
      range.max = String(all.length - 1);
      range.value = range.max;
      range.setAttribute("aria-label", say("variants.step"));
      const words = make("output", nameOf(all.length - 1));
      words.setAttribute("aria-live", "polite");
      /** @type {number | undefined} */
      let timer;
      const stop = () => {
        window.clearInterval(timer);
        timer = undefined;
        play.textContent = "▶";
        play.setAttribute("aria-label", say("variants.play"));
      };
      /** @param {number} at */
      const go = (at) => {
        range.value = String(at);
        words.textContent = nameOf(at);
        range.setAttribute("aria-valuetext", nameOf(at));
        show(at);
      };
      range.addEventListener("input", () => {
        stop();
        go(Number(range.value));
      });
      play.addEventListener("click", () => {
        if (timer !== undefined) {
          stop();
          return;
        }
        play.textContent = "❚❚";
        play.setAttribute("aria-label", say("variants.stop"));
        if (Number(range.value) >= all.length - 1) go(0);
        timer = window.setInterval(() => {
          const next = Number(range.value) + 1;
          if (next >= all.length) stop();
          else go(next);
        }, PAUSE_MS);
      });
      range.setAttribute("aria-valuetext", nameOf(all.length - 1));
      return [play, range, words];
    }
  }

  gridward.variants = variants;
})();
