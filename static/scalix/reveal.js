// A "Show" button inside every password field.

export function addRevealButtons(root) {
  for (const input of root.querySelectorAll("input[type=password]")) {
    const box = document.createElement("div");
    box.className = "with-button";
    input.replaceWith(box);
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn slim";
    button.textContent = "Show";
    button.setAttribute("aria-label", "Show the password");
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      const shown = input.type === "password";
      input.type = shown ? "text" : "password";
      button.textContent = shown ? "Hide" : "Show";
      button.setAttribute("aria-pressed", String(shown));
    });
    box.append(input, button);
  }
}
