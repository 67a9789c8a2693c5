// Tables of results sort by a click on a heading, are saved as CSV, and on a phone are read as cards: see withstand.css.
// Where no scripts run, they are as they stand.
const number = (text) => {
  const found = text.replaceAll(",", "").replaceAll("−", "-").match(/^[<>+]?\s*([+-]?\d+(\.\d+)?(e[+-]?\d+)?)/);
  return found ? Number(found[1]) : NaN;
};
const empty = (text) => text === "" || text === "–";

function sortable(heads, body) {
  const sortBy = (head, place) => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((other) => { other.removeAttribute("aria-sort"); });
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const told = [...body.rows].map((row) => [row.cells[place].textContent.trim(), row]);
    const numeric = told.every(([text]) => empty(text) || !Number.isNaN(number(text)));
    told.sort(([one], [other]) => {
      if (empty(one) || empty(other)) return empty(one) - empty(other);
      return (down ? -1 : 1) * (numeric ? number(one) - number(other) : one.localeCompare(other));
    });
    body.append(...told.map(([, row]) => row));
  };
  heads.forEach((head, place) => {
    if (!head.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sortBy(head, place));
    head.append(button);
  });
}

// Other displays than those of tables hide from screen readers what is a row and what a heading, so that it is said.
function carded(table, heads, body) {
  const role = (own, name) => own.setAttribute("role", name);
  table.classList.add("cards");
  role(table, "table");
  [table.tHead, body].forEach((own) => { role(own, "rowgroup"); });
  [...table.rows].forEach((row) => { role(row, "row"); });
  heads.forEach((head) => { role(head, "columnheader"); });
  [...body.rows].forEach((row) => [...row.cells].forEach((cell, place) => {
    role(cell, "cell");
    cell.dataset.label = heads[place].textContent.trim();
    cell.classList.toggle("long", cell.textContent.trim().length > 24);
    cell.classList.toggle("date", /^\d{4}-\d\d-\d\d$/.test(cell.textContent.trim()));
  }));
}

// Whether a table is wider than a phone, which one in a closed fold does not tell but by its columns.
const PHONE = 350;
function wide(table, columns) {
  if (!table.offsetWidth) return columns > 4;
  const { width } = table.style;
  table.style.width = "min-content";
  const least = table.offsetWidth;
  table.style.width = width;
  return least > PHONE;
}

// As small and as broken as it has to be to stand within the text.
function fitted(table) {
  for (const way of ["many", "most", "broken"]) {
    if (table.offsetWidth > table.parentElement.clientWidth) table.classList.add(way);
  }
}

function savable(table, name) {
  const link = document.createElement("a");
  const quoted = (cell) => `"${cell.textContent.trim().replaceAll('"', '""')}"`;
  link.className = "save-table";
  link.textContent = "This table as CSV";
  link.download = `${name}.csv`;
  link.href = "#";
  link.addEventListener("click", () => {
    const text = [...table.rows].map((row) => [...row.cells].map(quoted).join(",")).join("\n");
    link.href = `data:text/csv;charset=utf-8,${encodeURIComponent(text + "\n")}`;
  });
  table.after(link);
}

document.addEventListener("DOMContentLoaded", () => {
  const page = location.pathname.split("/").pop().replace(".html", "") || "index";
  document.querySelectorAll("article table.dataframe").forEach((table, place) => {
    const body = table.tBodies[0];
    if (table.tHead?.rows.length !== 1 || !body || table.querySelector("[colspan], [rowspan]")) return;
    const heads = [...table.tHead.rows[0].cells];
    if (table.closest("details.data")) return;
    if (body.rows.length > 3) sortable(heads, body);
    if (wide(table, heads.length)) carded(table, heads, body);
    table.classList.toggle("many", heads.length > 7);
    table.classList.toggle("most", heads.length > 10);
    fitted(table);
    if (body.rows.length > 3) savable(table, `${page}_table_${place + 1}`);
  });
});
// What scrolls sideways is reached by the keyboard, which the theme forgets for tables of text.
const reachable = new ResizeObserver((seen) => seen.forEach(({ target }) => {
  if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
  else target.removeAttribute("tabindex");
}));
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll(".pst-scrollable-table-container").forEach((box) => { reachable.observe(box); });
});
