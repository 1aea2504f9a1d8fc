/* Runs before the first paint: the theme chosen here, else the one the system prefers. A classic script, because a module would flash. */
(function () {
  "use strict";
  var key = "gridward.theme";
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  function apply() {
    var chosen = null;
    try {
      chosen = localStorage.getItem(key);
    } catch {
      // Storage may be forbidden when the page is embedded: the system's choice stands.
    }
    var theme = chosen === "dark" || chosen === "light" ? chosen : dark.matches ? "dark" : "light";
    document.documentElement.setAttribute("data-theme", theme);
    document.documentElement.dispatchEvent(new CustomEvent("themechange"));
  }
  dark.addEventListener("change", apply);
  window.addEventListener("storage", apply);
  window.addEventListener("click", function (event) {
    var target = event.target instanceof Element ? event.target.closest("[data-toggle-theme]") : null;
    if (!target) return;
    var next = document.documentElement.getAttribute("data-theme") === "dark" ? "light" : "dark";
    try {
      localStorage.setItem(key, next);
    } catch {
      document.documentElement.setAttribute("data-theme", next);
    }
    apply();
  });
  apply();
})();
