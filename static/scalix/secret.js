// The page that shows a token once: nothing of it is left in the browser's history.

const secret = document.getElementById("secret");
// Reload then fetches the list of tokens instead of sending the form again.
history.replaceState(null, "", secret.dataset.after);
// Back may restore a page from memory as it was left.
addEventListener("pagehide", () => secret.remove());
