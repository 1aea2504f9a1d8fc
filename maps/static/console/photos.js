// The photos of a case: small ones in the panel, each with words for who cannot see it; one at a time large.

import { byId, make, setText } from "./dom.js";
import { context, moment, t } from "./texts.js";

/** @typedef {import("./types.js").Photo} Photo */

/**
 * @param {Photo[]} photos
 * @param {number} at
 */
function wordsOf(photos, at) {
  const photo = photos[at];
  const when = photo ? moment(new Date(photo.added_at), new Date()) : "";
  return t("desk.photo.alt", { kind: t(`desk.photo.${photo?.kind ?? "other"}`), number: at + 1, count: photos.length, when });
}

/**
 * @param {Photo[]} photos
 * @returns {HTMLElement}
 */
export function photoStrip(photos) {
  const strip = make("ul", "photos");
  for (const [at, photo] of photos.entries()) {
    const button = make("button", "photo");
    button.type = "button";
    const picture = make("img");
    picture.src = context.root + photo.preview_url;
    picture.alt = wordsOf(photos, at);
    picture.loading = "lazy";
    button.append(picture, make("span", "photo-kind", t(`desk.photo.${photo.kind}`)));
    button.addEventListener("click", () => openPhoto(photos, at, button));
    const item = make("li");
    item.append(button);
    strip.append(item);
  }
  return strip;
}

/**
 * @param {Photo[]} photos
 * @param {number} first
 * @param {HTMLElement} opener gets the focus back
 */
function openPhoto(photos, first, opener) {
  const dialog = /** @type {HTMLDialogElement} */ (byId("photo"));
  const picture = make("img");
  const words = make("p", "photo-words");
  words.setAttribute("aria-live", "polite");
  let at = first;
  const show = (/** @type {number} */ next) => {
    at = (next + photos.length) % photos.length;
    picture.src = context.root + (photos[at]?.url ?? "");
    picture.alt = wordsOf(photos, at);
    setText(words, picture.alt);
  };
  const button = (/** @type {string} */ text, /** @type {() => void} */ press) => {
    const made = make("button", "button", text);
    made.type = "button";
    made.addEventListener("click", press);
    return made;
  };
  const row = make("div", "move-row");
  if (photos.length > 1) row.append(button(t("desk.photo.previous"), () => show(at - 1)), button(t("desk.photo.next"), () => show(at + 1)));
  const close = button(t("console.panel.close"), () => dialog.close());
  row.append(close);
  dialog.onkeydown = (event) => {
    if (event.key === "ArrowRight") show(at + 1);
    else if (event.key === "ArrowLeft") show(at - 1);
  };
  dialog.onclose = () => (opener.isConnected ? opener : byId("panel")).focus();
  dialog.replaceChildren(picture, words, row);
  show(first);
  dialog.showModal();
  close.focus();
}
