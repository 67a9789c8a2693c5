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
