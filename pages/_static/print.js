// On paper a page is light whatever its mode, and folds are open: but not code, nor the data behind figures.
let before = null;
addEventListener("beforeprint", () => {
  const folds = document.querySelectorAll("article details:not([open], .hide, .data, .standing)");
  before = { mode: document.documentElement.dataset.theme, folds };
  folds.forEach((fold) => { fold.open = true; });
  document.documentElement.dataset.theme = "light";
});
addEventListener("afterprint", () => {
  if (!before) return;
  before.folds.forEach((fold) => { fold.open = false; });
  document.documentElement.dataset.theme = before.mode;
  before = null;
});
