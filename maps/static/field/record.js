// A record of what was found and settled on the spot.

import { make } from "../console/dom.js";
import { t } from "../console/texts.js";
import { desk, enqueue } from "./desk.js";
import { cornersOf, drawMap } from "./drawing.js";
import { labelled, photoField, positionField, round } from "./parts.js";
import { toastSaved } from "./toast.js";

/** @typedef {import("./types.js").Deed} Deed */
/** @typedef {import("./types.js").Entry} Entry */

/** @type {Entry|null} a record that was refused, to be mended */
let mending = null;

/** @param {Entry} entry */
export function mendRecord(entry) {
  mending = entry;
  location.hash = "#record";
}

/** @returns {HTMLElement} */
export function recordScreen() {
  const draft = mending;
  mending = null;
  const screen = make("section", "record");
  const form = make("form", "sheet-form");
  form.noValidate = true;
  const problem = make("p", "problem");
  problem.setAttribute("role", "alert");
  const say = (/** @type {string} */ text) => {
    problem.textContent = text;
  };
  form.append(make("h2", "", t("field.record.title")), make("p", "hint", t("field.record.hint")));
  const photos = photoField({ say, photos: [...(draft?.photos ?? [])] });
  const category = make("select");
  category.append(new Option(t("field.record.choose"), ""));
  for (const one of desk.day?.categories ?? []) category.append(new Option(`${one.name} ${one.code}`, one.code));
  const words = make("textarea", "words");
  words.rows = 3;
  words.maxLength = 4000;
  const address = make("input");
  address.maxLength = 400;
  address.autocomplete = "off";
  const position = positionField({ isNeeded: true, onChange: () => map?.mark(position.value.position) });
  const own = (desk.cells ?? []).filter((cell) => cell.is_own);
  const map = own.length
    ? drawMap({
      cells: desk.cells ?? [], cases: [], focus: own.flatMap(cornersOf), label: t("field.sheet.position.tap"),
      pick: ({ lon, lat }) => position.set({ lon: round(lon), lat: round(lat), coord_sys: "wgs84" }),
    })
    : null;
  form.append(
    photos.element,
    labelled("record-category", t("field.record.category"), category),
    labelled("record-text", t("field.record.text"), words),
    labelled("record-address", t("field.record.address"), address),
    position.element,
  );
  category.value = draft?.deed.category ?? "";
  words.value = draft?.deed.text ?? "";
  address.value = draft?.deed.address ?? "";
  if (draft?.deed.position) position.set(draft.deed.position);
  if (map) form.append(make("p", "hint", t("field.sheet.position.tap")), map.element);
  form.append(problem);
  const bar = make("div", "actions");
  const send = make("button", "primary wide", t("field.sheet.send"));
  bar.append(send);
  form.append(bar);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = words.value.trim();
    const place = position.value.position;
    const missing = !category.value ? "field.record.category.needed" : !text ? "field.record.text.needed" : !place ? "field.sheet.position.needed" : "";
    if (missing || !place) {
      say(t(missing));
      (!category.value ? category : !text ? words : position.element.querySelector("button"))?.focus();
      return;
    }
    /** @type {Deed} */
    const deed = { kind: "self_handled", category: category.value, text, position: place };
    if (position.value.accuracy_m) deed.accuracy_m = position.value.accuracy_m;
    if (address.value.trim()) deed.address = address.value.trim();
    send.disabled = true;
    try {
      const name = desk.day?.categories.find((one) => one.code === category.value)?.name ?? category.value;
      const entry = await enqueue(deed, { title: t("field.record.entry", { category: name }), photos: photos.photos, draft });
      toastSaved(entry);
      location.hash = "#outbox";
    } catch (fault) {
      send.disabled = false;
      say(t("field.sheet.not_saved", { problem: fault instanceof Error ? fault.message : String(fault) }));
    }
  });
  screen.append(form);
  return screen;
}
