// @ts-check
// One click tries a parked row again; the row goes away when it is freed.

const said = document.getElementById("said");

document.addEventListener("click", async (event) => {
  const button = event.target instanceof HTMLElement ? event.target.closest("button[data-retry]") : null;
  if (!(button instanceof HTMLButtonElement) || said === null) {
    return;
  }
  button.disabled = true;
  let isDone = false;
  try {
    const answer = await fetch(button.dataset.retry ?? "", { method: "POST", headers: { Accept: "application/json" } });
    // Freed by somebody else meanwhile is as good.
    isDone = answer.ok || answer.status === 404;
  } catch {
    isDone = false;
  }
  said.textContent = (isDone ? said.dataset.done : said.dataset.failed) ?? "";
  if (isDone) {
    button.closest("tr")?.remove();
  } else {
    button.disabled = false;
  }
});
