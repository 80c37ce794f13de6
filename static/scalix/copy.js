// A copy button for every snippet; without this script the text is there to select.

export function addCopyButtons(root) {
  if (!navigator.clipboard) return; // not on this origin: selecting still works
  for (const snippet of root.querySelectorAll(".snippet:not(.copies, .quote)")) {
    const code = snippet.querySelector("code");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn slim copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy: ${snippet.querySelector("pre").getAttribute("aria-label")}`);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code); // the browser forbids it: one key press is left
        button.textContent = "Selected";
      }
      setTimeout(() => (button.textContent = "Copy"), 2000);
    });
    snippet.classList.add("copies");
    snippet.querySelector(".caption").append(button);
  }
}
