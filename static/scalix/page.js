// On every page: local times, copy buttons, menus that close.

import { keepMomentsFresh } from "./moments.js";
import { addCopyButtons } from "./copy.js";
import { addRevealButtons } from "./reveal.js";

keepMomentsFresh();
addCopyButtons(document);
addRevealButtons(document);

for (const menu of document.querySelectorAll("details.menu")) {
  document.addEventListener("click", (event) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !menu.open) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}
