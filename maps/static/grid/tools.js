// The tools of a redraw: which fields each has, what is drawn or picked for it, and the change it asks for.

import { byId, make } from "../console/dom.js";
import { t } from "../console/texts.js";
import { field, input, select } from "./forms.js";
import { swatch } from "./overlay.js";
import { button } from "./overview.js";
import { nextCodeUnder } from "./service.js";

/** @typedef {import("./types.js").Cell} Cell */
/** @typedef {import("./types.js").CellFeature} CellFeature */
/** @typedef {import("./types.js").Change} Change */
/** @typedef {import("./types.js").LonLat} LonLat */
/** @typedef {import("./types.js").NewCell} NewCell */
/** @typedef {import("./types.js").Tool} Tool */
/** @typedef {import("./desk.js").Desk} Desk */
/** @typedef {{ready: () => void, cancelled: () => void}} Answers */
/** @typedef {{fields: HTMLElement[], change: () => Change|null, begin: () => void}} ToolForm */

/** @type {Tool[]} */
export const TOOLS = ["split", "merge", "move_boundary", "reassign", "retire", "edit"];

/**
 * @param {Tool} tool
 * @param {Desk} desk
 * @param {CellFeature} cell
 * @param {Answers} answers ``ready`` when the map has given what the tool needs
 * @returns {ToolForm}
 */
export function formOf(tool, desk, cell, answers) {
  if (tool === "split") return split(desk, cell, answers);
  if (tool === "merge") return merge(desk, cell, answers);
  if (tool === "move_boundary") return moveBoundary(desk, cell, answers);
  if (tool === "reassign") return reassign(desk, cell, answers);
  if (tool === "retire") return retire(desk, cell, answers);
  return edit(cell);
}

/** @param {CellFeature} cell */
const optionOf = (cell) => /** @type {[string, string]} */ ([cell.properties.code, `${cell.properties.code} ${cell.properties.name}`]);

/**
 * @param {Cell} is
 * @param {string} pointer
 * @param {string} code
 * @returns {{fields: HTMLElement[], propose: (code: string) => void, value: () => NewCell}} ``propose`` leaves alone what was typed
 */
function nameFields(is, pointer, code) {
  const [codeInput, chinese, english] = [input(code, true), input(is.name_zh), input(is.name_en)];
  codeInput.required = true;
  return {
    fields: [
      field(t("grid_page.cell.code"), codeInput, `${pointer}/code`, true),
      field(t("grid_page.cell.name_zh"), chinese, `${pointer}/name_zh`),
      field(t("grid_page.cell.name_en"), english, `${pointer}/name_en`),
    ],
    propose: (/** @type {string} */ better) => {
      if (codeInput.value === code) codeInput.value = better;
    },
    value: () => ({ code: codeInput.value.trim(), name_zh: chinese.value.trim(), name_en: english.value.trim(), kind: is.kind }),
  };
}

/**
 * The next free code among the siblings of this draft, in their own width; a proposal that may be typed over. Where the
 * version has a code system, the service knows better: it also skips what earlier versions used.
 * @param {Desk} desk
 * @param {Cell} is
 * @returns {string}
 */
function nextCode(desk, is) {
  const codes = desk.ground.ofLevel(is.level).filter((one) => one.properties.parent === is.parent).map((one) => one.properties.code);
  const highest = codes.filter((code) => /^\d+$/.test(code) && code.length === is.code.length).map(BigInt).reduce((a, b) => (a > b ? a : b), 0n);
  return highest ? String(highest + 1n).padStart(is.code.length, "0") : "";
}

/**
 * A line somebody draws, and the button to draw it anew.
 * @param {Desk} desk
 * @param {CellFeature[]} near
 * @param {Answers} answers
 */
function lineField(desk, near, answers) {
  const state = make("p", "quiet");
  /** @type {LonLat[]|null} */
  let line = null;
  const draw = () => {
    line = null;
    desk.overlay.clear("line");
    state.textContent = t("grid_page.draw.waiting");
    // On a narrow screen the fields stand below the map that is to be drawn on.
    byId("map").scrollIntoView({ block: "nearest" });
    byId("map").focus({ preventScroll: true });
    desk.line.start({
      near,
      done: (drawn) => {
        line = drawn;
        state.textContent = t("grid_page.draw.done", { count: drawn.length });
        desk.overlay.set("line", [{ geometry: { type: "LineString", coordinates: drawn }, look: "line" }]);
        answers.ready();
      },
      cancelled: answers.cancelled,
      changed: (count) => (state.textContent = t("grid_page.draw.points", { count })),
    });
  };
  const box = make("div", "field");
  const row = make("div", "choice");
  const again = button(t("grid_page.draw.again"), draw);
  again.dataset.pointer = "/line";
  const fault = make("span", "field-fault");
  fault.id = "fault-line";
  fault.hidden = true;
  row.append(again, state);
  box.append(row, fault);
  return { box, draw, value: () => line };
}

/**
 * A neighbour, from the list or by a click on the map.
 * @param {Desk} desk
 * @param {CellFeature[]} options
 * @param {string} label
 * @param {string} pointer
 * @param {(cell: CellFeature) => void} chosen
 */
function partnerField(desk, options, label, pointer, chosen) {
  const list = select([["", t("grid_page.redraw.choose")], ...options.map(optionOf)], "");
  const take = (/** @type {CellFeature} */ cell) => {
    list.value = cell.properties.code;
    desk.overlay.set("partner", [{ geometry: cell.geometry, look: "second", fill: "second" }]);
    chosen(cell);
  };
  list.addEventListener("change", () => {
    const cell = desk.ground.get(list.value);
    if (cell) take(cell);
  });
  const begin = () => {
    byId("map").classList.add("is-picking");
    desk.pickingLevel = null;
    desk.picking = (cell) => {
      if (options.includes(cell)) take(cell);
    };
    list.focus();
  };
  return { box: field(label, list, pointer), begin, value: () => list.value || null };
}

/**
 * @param {Desk} desk
 * @param {CellFeature} cell
 * @param {Answers} answers
 * @returns {ToolForm}
 */
function split(desk, cell, answers) {
  const is = cell.properties;
  const children = desk.ground.ofLevel(is.level + 1).filter((one) => one.properties.parent === is.code);
  const parts = [nameFields(is, "/into/0", is.code), nameFields({ ...is, name_zh: "", name_en: "" }, "/into/1", nextCode(desk, is))];
  const number = desk.version?.number;
  if (number !== undefined && desk.version?.code_system !== "free" && is.parent) {
    // Without it the proposal from the siblings stays, and the service checks whatever is sent.
    nextCodeUnder(number, is.parent, is.label).then(parts[1]?.propose, () => undefined);
  }
  const sets = parts.map((part, index) => {
    const set = make("fieldset");
    const legend = make("legend");
    const fill = index ? "second" : "first";
    legend.append(swatch(fill, fill), make("span", "", t(index ? "grid_page.split.right" : "grid_page.split.left")));
    set.append(legend, ...part.fields);
    return set;
  });
  const into = (/** @type {string[][]} */ taken) => parts.map((part, index) => ({ ...part.value(), ...(taken[index]?.length ? { children: taken[index] } : {}) }));
  if (!children.length) {
    const line = lineField(desk, [cell], answers);
    return {
      fields: [line.box, ...sets],
      begin: line.draw,
      change: () => {
        const drawn = line.value();
        return drawn && { operation: "split", cell: is.code, line: drawn, into: into([]) };
      },
    };
  }
  // A cell with children is split along them: each child goes to the first part or to the second.
  const whose = children.map((child) => {
    const list = select([["0", t("grid_page.split.first")], ["1", t("grid_page.split.second")]], "0");
    return { child, list, box: field(optionOf(child)[1], list, "", true) };
  });
  return {
    fields: [...sets, ...whose.map((one) => one.box)],
    begin: () => whose[0]?.list.focus(),
    change: () => {
      const taken = ["0", "1"].map((part) => whose.filter((one) => one.list.value === part).map((one) => one.child.properties.code));
      return taken.every((codes) => codes.length) ? { operation: "split", cell: is.code, into: into(taken) } : null;
    },
  };
}

/**
 * @param {Desk} desk
 * @param {CellFeature} cell
 * @param {Answers} answers
 * @returns {ToolForm}
 */
function merge(desk, cell, answers) {
  const is = cell.properties;
  const siblings = desk.ground.neighbours(cell).filter((one) => one.properties.parent === is.parent);
  const partner = partnerField(desk, siblings, t("grid_page.merge.with"), "/cells/1", answers.ready);
  const result = nameFields(is, "/into", is.code);
  const set = make("fieldset");
  set.append(make("legend", "", t("grid_page.merge.result")), ...result.fields);
  return {
    fields: [partner.box, set],
    begin: partner.begin,
    change: () => {
      const other = partner.value();
      return other ? { operation: "merge", cells: [is.code, other], into: result.value() } : null;
    },
  };
}

/**
 * @param {Desk} desk
 * @param {CellFeature} cell
 * @param {Answers} answers
 * @returns {ToolForm}
 */
function moveBoundary(desk, cell, answers) {
  const is = cell.properties;
  /** @type {CellFeature[]} */
  const near = [cell];
  const line = lineField(desk, near, answers);
  line.box.hidden = true;
  const partner = partnerField(desk, desk.ground.neighbours(cell), t("grid_page.move_boundary.with"), "/cells/1", (other) => {
    near.splice(1, 1, other);
    line.box.hidden = false;
    line.draw();
  });
  return {
    fields: [partner.box, line.box],
    begin: partner.begin,
    change: () => {
      const [other, drawn] = [partner.value(), line.value()];
      return other && drawn ? { operation: "move_boundary", cells: [is.code, other], line: drawn } : null;
    },
  };
}

/**
 * @param {Desk} desk
 * @param {CellFeature} cell
 * @param {Answers} answers
 * @returns {ToolForm}
 */
function reassign(desk, cell, answers) {
  const is = cell.properties;
  const above = desk.ground.ofLevel(is.level - 1).filter((one) => one.properties.code !== is.parent);
  const own = is.parent ? desk.ground.get(is.parent) : undefined;
  // Those that touch the present parent come first: the cell can only go where it has an edge.
  const near = own ? desk.ground.neighbours(own) : [];
  const parents = [...near, ...above.filter((one) => !near.includes(one))];
  const partner = partnerField(desk, parents, t("grid_page.reassign.to"), "/parent", answers.ready);
  return {
    fields: [make("p", "quiet", t("grid_page.reassign.from", { parent: own ? optionOf(own)[1] : is.parent ?? "–" })), partner.box],
    begin: () => {
      partner.begin();
      desk.pickingLevel = is.level - 1;
    },
    change: () => {
      const parent = partner.value();
      return parent ? { operation: "reassign", cell: is.code, parent } : null;
    },
  };
}

/**
 * @param {Desk} desk
 * @param {CellFeature} cell
 * @param {Answers} answers
 * @returns {ToolForm}
 */
function retire(desk, cell, answers) {
  const partner = partnerField(desk, desk.ground.neighbours(cell), t("grid_page.retire.to"), "/to", answers.ready);
  return {
    fields: [partner.box],
    begin: partner.begin,
    change: () => {
      const to = partner.value();
      return to ? { operation: "retire", cell: cell.properties.code, to } : null;
    },
  };
}

/**
 * @param {CellFeature} cell
 * @returns {ToolForm}
 */
function edit(cell) {
  const is = cell.properties;
  const names = nameFields(is, "/set", is.code);
  const set = make("fieldset");
  set.append(make("legend", "", t("grid_page.edit.what")), ...names.fields);
  return {
    fields: [set],
    begin: () => /** @type {HTMLElement|null} */ (set.querySelector("input"))?.focus(),
    change: () => {
      const now = names.value();
      /** @type {Record<string, string>} */
      const changed = {};
      if (now.code !== is.code) changed.code = now.code;
      if (now.name_zh !== is.name_zh) changed.name_zh = now.name_zh;
      if (now.name_en !== is.name_en) changed.name_en = now.name_en;
      return Object.keys(changed).length ? { operation: "edit", cell: is.code, set: changed } : null;
    },
  };
}
