// Parts that several screens are made of: buttons, fields, the row of a case, photos, the position.

import { make } from "../console/dom.js";
import { known, sign } from "../console/shapes.js";
import { dueText, moment, t, timeLeft } from "../console/texts.js";
import { now } from "./clock.js";

/** @typedef {import("./types.js").FieldCase} FieldCase */
/** @typedef {import("./types.js").Position} Position */

const MOST_PHOTOS = 9;
const LONGEST_SIDE = 2048;
const QUALITY = 0.82;

/**
 * @param {string} className
 * @param {string} text
 * @param {() => void} work
 * @returns {HTMLButtonElement}
 */
export function button(className, text, work) {
  const made = make("button", className, text);
  made.type = "button";
  made.addEventListener("click", work);
  return made;
}

/**
 * @param {FieldCase} one
 * @returns {HTMLElement} the sign, its word and what is left of the limit
 */
export function clockOf(one) {
  const line = make("p", "clock");
  const light = known(one.light);
  const like = /** @type {any} */ (one);
  line.append(sign(light), make("strong", `light-${light}`, timeLeft(like, now())), make("span", "quiet", one.status === "suspended" ? (one.suspended_until ? t("field.case.until", { when: when(one.suspended_until) }) : "") : dueText(like, now())));
  return line;
}

/**
 * @param {string} id
 * @param {string} label
 * @param {HTMLElement} field
 * @param {string} [hint]
 * @returns {HTMLElement}
 */
export function labelled(id, label, field, hint) {
  const row = make("div", "field");
  const name = make("label", "", label);
  name.htmlFor = id;
  field.id = id;
  row.append(name, field);
  if (hint) {
    const said = make("p", "hint", hint);
    said.id = `${id}-hint`;
    field.setAttribute("aria-describedby", said.id);
    row.append(said);
  }
  return row;
}

/**
 * Make a photo smaller before it is kept: what the service would do anyway, and a tenth of the traffic. A canvas keeps
 * nothing but pixels, so the camera's position and name stay on the phone.
 * @param {Blob} file
 * @returns {Promise<Blob>}
 */
async function smaller(file) {
  const picture = await createImageBitmap(file, { imageOrientation: "from-image" });
  const share = Math.min(1, LONGEST_SIDE / Math.max(picture.width, picture.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(picture.width * share));
  canvas.height = Math.max(1, Math.round(picture.height * share));
  canvas.getContext("2d")?.drawImage(picture, 0, 0, canvas.width, canvas.height);
  picture.close();
  return new Promise((resolve, reject) => canvas.toBlob((made) => (made ? resolve(made) : reject(new Error("no picture"))), "image/jpeg", QUALITY));
}

/**
 * @param {{say: (problem: string) => void, photos?: Blob[]}} where
 * @returns {{element: HTMLElement, photos: Blob[]}}
 */
export function photoField({ say, photos = [] }) {
  const element = make("div", "photos");
  const shown = make("ul", "photo-list");
  // Two ways in: whoever has denied the camera, or has taken the picture before, takes it from the album.
  const doors = make("div", "photo-doors");
  for (const [id, word, className] of /** @type {[string, string, string][]} */ ([
    ["photo-input", t("field.sheet.photo"), "take"],
    ["album-input", t("field.sheet.album"), "take is-album"],
  ])) {
    const input = make("input", "visually-hidden");
    Object.assign(input, { type: "file", accept: "image/*", multiple: true, id });
    if (id === "photo-input") input.setAttribute("capture", "environment");
    input.setAttribute("aria-label", word);
    input.tabIndex = -1;
    input.addEventListener("change", () => void take(input));
    input.addEventListener("cancel", () => say(t("field.sheet.photo.cancelled")));
    doors.append(button(className, word, () => input.click()), input);
  }

  /** @param {HTMLInputElement} input */
  async function take(input) {
    say("");
    for (const file of Array.from(input.files ?? [])) {
      if (photos.length >= MOST_PHOTOS) {
        say(t("field.sheet.photo.most", { most: MOST_PHOTOS }));
        break;
      }
      try {
        photos.push(await smaller(file));
      } catch {
        say(t("field.sheet.photo.bad"));
      }
    }
    input.value = "";
    list();
  }

  function list() {
    shown.replaceChildren();
    photos.forEach((photo, place) => {
      const item = make("li");
      const picture = make("img");
      picture.src = URL.createObjectURL(photo);
      picture.alt = t("field.sheet.photo.count", { count: place + 1 });
      picture.addEventListener("load", () => URL.revokeObjectURL(picture.src), { once: true });
      const remove = button("remove", "×", () => {
        photos.splice(place, 1);
        list();
      });
      remove.setAttribute("aria-label", t("field.sheet.photo.remove", { number: place + 1 }));
      item.append(picture, remove);
      shown.append(item);
    });
  }

  list();
  element.append(doors, shown);
  return { element, photos };
}

/**
 * Read the phone's position once.
 * @returns {Promise<{position: Position, accuracy_m: number}>}
 */
export function readPosition() {
  return new Promise((resolve, reject) => {
    if (!navigator.geolocation) {
      reject(new Error("none"));
      return;
    }
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => resolve({
        position: { lon: round(coords.longitude), lat: round(coords.latitude), coord_sys: "wgs84" },
        accuracy_m: Math.max(1, Math.min(5000, Math.round(coords.accuracy))),
      }),
      reject,
      { enableHighAccuracy: true, timeout: 15_000, maximumAge: 15_000 },
    );
  });
}

/** @param {number} degrees */
export function round(degrees) {
  return Math.round(degrees * 1e7) / 1e7;
}

/**
 * @param {{onChange?: () => void, isNeeded?: boolean}} [options] whether the act cannot be without a place
 * @returns {{element: HTMLElement, value: {position: Position|null, accuracy_m: number|null}, set: (position: Position|null) => void}}
 */
export function positionField({ onChange, isNeeded = false } = {}) {
  /** @type {{position: Position|null, accuracy_m: number|null}} */
  const value = { position: null, accuracy_m: null };
  const element = make("div", "position");
  const said = make("p", "hint");
  said.setAttribute("role", "status");
  const toggle = button("secondary", t("field.sheet.position"), async () => {
    if (value.position) {
      Object.assign(value, { position: null, accuracy_m: null });
      show("");
      return;
    }
    said.textContent = t("field.sheet.position.reading");
    try {
      Object.assign(value, await readPosition());
      show(t("field.sheet.position.have", { accuracy: value.accuracy_m ?? 0 }));
    } catch (fault) {
      show(`${t(`field.sheet.position.${reasonOf(fault)}`)}${t(isNeeded ? "field.sheet.position.tap_instead" : "field.sheet.position.without")}`);
    }
  });

  /** @param {string} text */
  function show(text) {
    said.textContent = text;
    toggle.textContent = t(value.position ? "field.sheet.position.off" : "field.sheet.position");
    onChange?.();
  }

  element.append(toggle, said);
  return {
    element,
    value,
    set(position) {
      Object.assign(value, { position, accuracy_m: null });
      show("");
    },
  };
}

/**
 * Why there is no position, as the phone says it.
 * @param {unknown} fault
 * @returns {"insecure"|"denied"|"late"|"unavailable"}
 */
function reasonOf(fault) {
  if (!isSecureContext) return "insecure";
  const code = /** @type {{code?: number}} */ (fault)?.code;
  return code === 1 ? "denied" : code === 3 ? "late" : "unavailable";
}

/**
 * @param {string|null} at
 * @returns {string}
 */
export function when(at) {
  return at ? moment(new Date(at), now()) : "–";
}
