// @ts-check
// The page around the planner's map: filters that apply themselves, and the link between table and map.

const frames = /** @type {HTMLIFrameElement[]} */ ([...document.querySelectorAll("iframe.map")]);
const form = /** @type {HTMLFormElement | null} */ (document.getElementById("filter"));
const apply = /** @type {HTMLButtonElement | null} */ (document.getElementById("apply"));
const toPaper = /** @type {HTMLButtonElement | null} */ (document.getElementById("print"));
const table = document.getElementById("table");

/**
 * The frame has no origin, so it cannot be addressed by one; what is sent is a theme or the code of a cell.
 *
 * @param {string} type
 * @param {string | null} value
 */
function tell(type, value) {
  for (const frame of frames) frame.contentWindow?.postMessage({ type, value }, "*");
}

function tellTheme() {
  tell("theme", document.documentElement.getAttribute("data-theme"));
}

document.documentElement.addEventListener("themechange", tellTheme);
frames.forEach((frame) => frame.addEventListener("load", tellTheme));

/** @param {string | null} code */
function markRow(code) {
  table?.querySelector("[data-marked]")?.removeAttribute("data-marked");
  if (code) table?.querySelector(`[data-code="${CSS.escape(code)}"]`)?.setAttribute("data-marked", "");
}

window.addEventListener("message", (event) => {
  const from = frames.findIndex((frame) => frame.contentWindow === event.source);
  if (from < 0 || event.data?.gridward !== "heat") return;
  const { type, code, view } = event.data;
  if (type === "ready") tellTheme();
  // Two maps in step: where one looks, the other looks as well, and a cell is marked on both.
  if (type === "view" && frames.length === 2) frames[1 - from]?.contentWindow?.postMessage({ type: "view", value: view }, "*");
  if (type === "hover") {
    markRow(typeof code === "string" ? code : null);
    if (frames.length === 2) frames[1 - from]?.contentWindow?.postMessage({ type: "mark", value: code }, "*");
  }
  if (type === "case" && typeof code === "string") {
    location.assign(new URL(`../../?case=${encodeURIComponent(code)}`, import.meta.url));
  }
  if (type === "pick" && typeof code === "string") {
    markRow(code);
    const row = table?.querySelector(`[data-code="${CSS.escape(code)}"]`);
    row?.scrollIntoView({ block: "center" });
    /** @type {HTMLElement | null | undefined} */ (row?.querySelector("button"))?.focus({ preventScroll: true });
  }
});

/** @param {Event} event */
function codeAt(event) {
  const row = event.target instanceof Element ? event.target.closest("[data-code]") : null;
  return row ? row.getAttribute("data-code") : null;
}

table?.addEventListener("mouseover", (event) => tell("mark", codeAt(event)));
table?.addEventListener("mouseleave", () => tell("mark", null));
table?.addEventListener("focusin", (event) => tell("mark", codeAt(event)));
table?.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("[data-show]") : null;
  if (!button) return;
  tell("show", button.getAttribute("data-show"));
  frames[0]?.scrollIntoView({ block: "nearest" });
});

// A choice from a list applies at once. A date is typed digit by digit, so it applies with Enter or the button.
if (form && apply) {
  const dates = /** @type {HTMLInputElement[]} */ ([...form.querySelectorAll("input[type=date]")]);
  const shown = dates.map((input) => input.value);
  form.addEventListener("change", (event) => {
    if (event.target instanceof HTMLSelectElement) {
      form.requestSubmit();
      return;
    }
    apply.hidden = dates.every((input, at) => input.value === shown[at]);
  });
  apply.hidden = true;
  const lists = /** @type {HTMLSelectElement[]} */ ([...form.querySelectorAll("select")]);
  form.addEventListener("submit", () => {
    // An empty choice is no filter, and today's cells are what everybody means: keep both out of the address.
    for (const list of lists) list.disabled = !list.value || (list.name === "boundaries" && list.value === "now");
  });
  window.addEventListener("pageshow", () => {
    for (const list of lists) list.disabled = false;
  });
}

if (toPaper) {
  toPaper.hidden = false;
  toPaper.addEventListener("click", () => window.print());
}

const share = /** @type {HTMLButtonElement | null} */ (document.getElementById("share"));
const panel = /** @type {HTMLFormElement | null} */ (document.getElementById("share-panel"));
if (share && panel) {
  const made = /** @type {HTMLOutputElement} */ (panel.querySelector("output"));
  share.hidden = false;
  share.addEventListener("click", () => {
    panel.hidden = !panel.hidden;
    share.setAttribute("aria-expanded", String(!panel.hidden));
    if (!panel.hidden) panel.querySelector("select")?.focus();
  });
  panel.addEventListener("submit", async (event) => {
    event.preventDefault();
    const fields = new FormData(panel);
    const body = { kind: fields.get("kind"), query: fields.get("query"), scope: fields.get("scope"), days: Number(fields.get("days")) };
    made.textContent = "…";
    try {
      const answer = await fetch(panel.action, {
        method: "POST",
        headers: { "Content-Type": "application/json", "Accept-Language": document.documentElement.lang },
        body: JSON.stringify(body),
      });
      const told = await answer.json();
      if (!answer.ok) throw new Error(told.detail || told.title || String(answer.status));
      const address = new URL(told.url, location.href).href;
      const link = document.createElement("a");
      link.href = link.textContent = address;
      made.replaceChildren(link);
      await navigator.clipboard?.writeText(address).catch(() => undefined);
    } catch (error) {
      made.textContent = error instanceof Error ? error.message : String(error);
    }
  });
}
