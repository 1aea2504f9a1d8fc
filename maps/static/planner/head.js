// @ts-check
// On a phone the names of the pages slide beneath the edge: the one that is open stands in sight.

const open = document.querySelector(".tools [aria-current]");
if (open instanceof HTMLElement && open.parentElement) {
  open.parentElement.scrollLeft = open.offsetLeft - open.parentElement.offsetLeft - 40;
}

export {};
