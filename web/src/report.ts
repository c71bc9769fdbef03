/** What a report can do more with a script: sort its tables, change between light and dark, print
 * everything that is folded away. It is put into the file whole, so it imports nothing but its style. */
import "./style/report.css";

const root = document.documentElement;

function isDark(): boolean {
  const chosen = root.dataset["theme"];
  return chosen === undefined ? matchMedia("(prefers-color-scheme: dark)").matches : chosen === "dark";
}

function addThemeButton(): void {
  const tools = document.getElementById("tools");
  const label = tools?.dataset["theme"];
  if (!tools || !label) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "quiet";
  button.textContent = label;
  button.addEventListener("click", () => {
    root.dataset["theme"] = isDark() ? "light" : "dark";
  });
  tools.append(button);
}

/** What a cell is sorted by: its figure where it has one, else its words. */
function key(row: HTMLTableRowElement, column: number): number | string | null {
  const cell = row.cells[column];
  const value = cell?.dataset["value"];
  if (value !== undefined) return Number(value);
  const words = cell?.textContent.trim() ?? "";
  return words === "" || words === "—" ? null : words;
}

/** What has no figure comes last, whichever way a column is sorted. */
function compare(a: number | string | null, b: number | string | null, sign: number): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  return sign * String(a).localeCompare(String(b), "en", { numeric: true });
}

function sort(table: HTMLTableElement, column: number): void {
  const head = table.tHead?.rows[0]?.cells[column];
  const body = table.tBodies[0];
  if (!head || !body) return;
  const descending = head.getAttribute("aria-sort") === "ascending";
  for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const rows = [...body.rows];
  rows.sort((a, b) => compare(key(a, column), key(b, column), descending ? -1 : 1));
  body.append(...rows);
}

function makeSortable(table: HTMLTableElement): void {
  for (const [column, head] of [...(table.tHead?.rows[0]?.cells ?? [])].entries()) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(table, column));
    head.append(button);
    head.dataset["sort"] = "";
  }
}

function openForPrint(): void {
  let folded: HTMLDetailsElement[] = [];
  let theme: string | undefined;
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll<HTMLDetailsElement>("details:not([open], .as-table)")];
    for (const details of folded) details.open = true;
    theme = root.dataset["theme"];
    root.dataset["theme"] = "light";
  });
  addEventListener("afterprint", () => {
    for (const details of folded) details.open = false;
    if (theme === undefined) delete root.dataset["theme"];
    else root.dataset["theme"] = theme;
  });
}

addThemeButton();
for (const table of document.querySelectorAll<HTMLTableElement>("table[data-sortable]")) makeSortable(table);
openForPrint();
