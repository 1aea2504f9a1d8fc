// Views under a name, of whoever is signed in: the filters of the page as its address has them.

import { announce, byId, make } from "./dom.js";
import { keepView, listViews } from "./service.js";
import { t } from "./texts.js";

/** What of the address belongs to a view; a case that is open does not. */
const KEPT = ["inbox", "q", "shade", "at"];
/** @type {{name: string, query: string}[]} */
let views = [];

/** Read them once; without an answer there are none. */
export async function readViews() {
  try {
    views = (await listViews()).views;
  } catch {
    views = [];
  }
}

/** @param {{apply: (query: URLSearchParams) => void}} on */
export function viewEntries(on) {
  const entries = views.map((view) => ({ kind: "view", name: view.name, detail: describe(new URLSearchParams(view.query)), run: () => on.apply(new URLSearchParams(view.query)) }));
  return [
    ...entries,
    { kind: "view", name: t("desk.views.save"), run: askName },
    ...views.map((view) => ({ kind: "view", name: t("desk.views.forget", { name: view.name }), run: () => void forget(view.name) })),
  ];
}

/**
 * @param {URLSearchParams} query
 * @returns {string} what the view lists, in words
 */
function describe(query) {
  const [inbox, search, shade] = [query.get("inbox"), query.get("q"), query.get("shade")];
  return [inbox && t(`console.inbox.${inbox}`), search && `“${search}”`, shade && t(`desk.shade.${shade}`)].filter(Boolean).join(" · ");
}

/** @param {string} name */
async function forget(name) {
  try {
    await keepView(name, null);
    await readViews();
    announce(t("desk.views.forgotten", { name }));
  } catch (fault) {
    announce(fault instanceof Error ? fault.message : "");
  }
}

function askName() {
  const dialog = /** @type {HTMLDialogElement} */ (byId("notes"));
  const query = new URLSearchParams([...new URLSearchParams(location.search)].filter(([key]) => KEPT.includes(key))).toString();
  const form = make("form", "notes-form");
  const label = make("label");
  const name = make("input");
  name.required = true;
  name.maxLength = 60;
  label.append(make("span", "", t("desk.views.name")), name);
  const said = make("p", "fault");
  said.setAttribute("role", "alert");
  const row = make("div", "move-row");
  const close = make("button", "button", t("console.move.cancel"));
  close.type = "button";
  close.addEventListener("click", () => dialog.close());
  row.append(make("button", "button button-primary", t("desk.views.keep")), close);
  form.append(label, said, row);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      await keepView(name.value.trim(), query);
      await readViews();
      dialog.close();
      announce(t("desk.views.kept", { name: name.value.trim() }));
    } catch (fault) {
      said.textContent = fault instanceof Error ? fault.message : "";
    }
  });
  dialog.replaceChildren(make("h2", "", t("desk.views.save")), form);
  dialog.showModal();
  name.focus();
}
