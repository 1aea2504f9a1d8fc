// Notes from shift to shift: what the last ones said, and what this one leaves.

import { byId, make } from "./dom.js";
import { listNotes, writeNote } from "./service.js";
import { INBOXES } from "./store.js";
import { moment, number, t } from "./texts.js";

const dialog = /** @type {HTMLDialogElement} */ (byId("notes"));

/** Show the notes and the field for a new one. */
export async function openNotes() {
  const list = make("ol", "notes-list");
  const text = make("textarea");
  text.rows = 3;
  text.maxLength = 4000;
  text.required = true;
  const form = make("form", "notes-form");
  const label = make("label");
  label.append(make("span", "", t("desk.notes.write")), text);
  const said = make("p", "fault");
  said.setAttribute("role", "alert");
  const row = make("div", "move-row");
  const keep = make("button", "button button-primary", t("desk.notes.keep"));
  const close = make("button", "button", t("console.keys.close"));
  close.type = "button";
  close.addEventListener("click", () => dialog.close());
  row.append(keep, close);
  form.append(label, said, row);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!text.value.trim()) return;
    keep.disabled = true;
    try {
      list.querySelector(".quiet:only-child")?.remove();
      list.prepend(noteItem(await writeNote(text.value.trim())));
      text.value = "";
      said.textContent = "";
    } catch (fault) {
      said.textContent = fault instanceof Error ? fault.message : "";
    } finally {
      keep.disabled = false;
    }
  });
  dialog.replaceChildren(make("h2", "", t("desk.notes.title")), form, list);
  if (!dialog.open) dialog.showModal();
  text.focus();
  try {
    const { notes } = await listNotes();
    list.append(...notes.map(noteItem));
    if (!notes.length) list.append(make("li", "quiet", t("desk.notes.none")));
  } catch (fault) {
    list.append(make("li", "fault", fault instanceof Error ? fault.message : ""));
  }
}

/** @param {import("./service.js").ShiftNote} note */
function noteItem(note) {
  const item = make("li");
  const head = make("p", "notes-head");
  head.append(make("strong", "", moment(new Date(note.at), new Date())), make("bdi", "", note.author || t("desk.notes.desk")));
  const counts = INBOXES.map((inbox) => `${t(`console.inbox.${inbox}`)} ${number(note.counts[inbox] ?? 0)}`).join(" · ");
  item.append(head, make("p", "typed", note.text), make("p", "quiet", counts));
  return item;
}
