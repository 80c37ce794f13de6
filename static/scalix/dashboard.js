// Fetches the dashboard's figures again every few seconds, while somebody can see them.

import { addCopyButtons } from "./copy.js";

const EVERY_MS = 5000;
const live = document.getElementById("live");

/** Whether replacing the figures would take something from the reader's hands. */
function inUse() {
  const selection = getSelection();
  const selecting = !selection.isCollapsed && live.contains(selection.anchorNode);
  return selecting || (live.contains(document.activeElement) && !document.activeElement.id);
}

async function refresh() {
  if (document.hidden || inUse()) return;
  let response;
  try {
    response = await fetch(live.dataset.source, { redirect: "manual" });
  } catch {
    return; // offline: "updated … ago" tells how old the figures are
  }
  if (response.type === "opaqueredirect") return location.reload(); // logged out meanwhile
  if (!response.ok) return;
  const html = await response.text();
  if (inUse()) return;
  const focused = live.contains(document.activeElement) ? document.activeElement.id : "";
  live.innerHTML = html;
  addCopyButtons(live);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

setInterval(refresh, EVERY_MS);
document.addEventListener("visibilitychange", refresh);
