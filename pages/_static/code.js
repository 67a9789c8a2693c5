// One button for all code of a page, in the place of a fold a cell. Where no scripts run, the folds stay.
document.addEventListener("DOMContentLoaded", () => {
  const cells = document.querySelectorAll("details.hide.above-input");
  const title = document.querySelector("article h1");
  if (!cells.length || !title) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "code-toggle";
  const show = (shown) => {
    document.documentElement.classList.toggle("code-hidden", !shown);
    cells.forEach((cell) => { cell.open = shown; });
    button.textContent = shown ? "Hide the code" : "Show the code of this page";
    button.setAttribute("aria-expanded", String(shown));
  };
  button.addEventListener("click", () => show(button.getAttribute("aria-expanded") !== "true"));
  title.after(button);
  show(false);
});
// A figure that is clicked, or chosen by the keyboard, is shown as large as the window; Escape or a click closes it.
document.addEventListener("DOMContentLoaded", () => {
  const dialog = document.createElement("dialog");
  dialog.className = "larger";
  dialog.addEventListener("click", () => dialog.close());
  document.querySelectorAll(".bd-article figure > img").forEach((image) => {
    image.classList.add("larger");
    image.tabIndex = 0;
    image.setAttribute("role", "button");
    image.setAttribute("aria-label", `${image.alt} Show it larger.`);
    const open = () => {
      const copy = document.createElement("img");
      copy.src = image.currentSrc || image.src;
      copy.alt = image.alt;
      dialog.replaceChildren(copy);
      dialog.setAttribute("aria-label", "A figure");
      if (!dialog.isConnected) document.body.append(dialog);
      dialog.showModal();
    };
    image.addEventListener("click", open);
    image.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(); }
    });
  });
});
