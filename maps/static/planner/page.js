// @ts-check
// The page around the planner's map: filters that apply themselves, and the link between table and map.

const frame = /** @type {HTMLIFrameElement} */ (document.getElementById("map"));
const form = /** @type {HTMLFormElement} */ (document.getElementById("filter"));
const apply = /** @type {HTMLButtonElement} */ (document.getElementById("apply"));
const toPaper = /** @type {HTMLButtonElement} */ (document.getElementById("print"));
const table = document.getElementById("table");

/**
 * The frame has no origin, so it cannot be addressed by one; what is sent is a theme or the code of a cell.
 *
 * @param {string} type
 * @param {string | null} value
 */
function tell(type, value) {
  frame.contentWindow?.postMessage({ type, value }, "*");
}

function tellTheme() {
  tell("theme", document.documentElement.getAttribute("data-theme"));
}

document.documentElement.addEventListener("themechange", tellTheme);
frame.addEventListener("load", tellTheme);

/** @param {string | null} code */
function markRow(code) {
  table?.querySelector("[data-marked]")?.removeAttribute("data-marked");
  if (code) table?.querySelector(`[data-code="${CSS.escape(code)}"]`)?.setAttribute("data-marked", "");
}

window.addEventListener("message", (event) => {
  if (event.source !== frame.contentWindow || event.data?.gridward !== "heat") return;
  const { type, code } = event.data;
  if (type === "ready") tellTheme();
  if (type === "hover") markRow(typeof code === "string" ? code : null);
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
  frame.scrollIntoView({ block: "nearest" });
});

// A choice from a list applies at once. A date is typed digit by digit, so it applies with Enter or the button.
const shown = new FormData(form);
form.addEventListener("change", (event) => {
  if (event.target instanceof HTMLSelectElement) {
    form.requestSubmit();
    return;
  }
  apply.hidden = ["from", "to"].every((name) => new FormData(form).get(name) === shown.get(name));
});
apply.hidden = true;
form.addEventListener("submit", () => {
  // An empty category is no filter: keep it out of the address.
  const category = form.elements.namedItem("category");
  if (category instanceof HTMLSelectElement && !category.value) category.disabled = true;
});
window.addEventListener("pageshow", () => {
  const category = form.elements.namedItem("category");
  if (category instanceof HTMLSelectElement) category.disabled = false;
});

toPaper.hidden = false;
toPaper.addEventListener("click", () => window.print());
