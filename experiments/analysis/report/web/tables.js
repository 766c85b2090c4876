// Tables: rows of the chosen optimizers, seeds and objectives, a hundred at a time, sorted by a
// click on a heading.

const FEW = 100;
const ON_PAPER = 40;
const sorting = {}; // by table: [column, rising]
const room = {}; // by table: how many rows are shown

const textOf = (cell) => (Array.isArray(cell) ? cell[0] : cell);
const numberOf = (cell) => (Array.isArray(cell) ? Number(String(cell[1]).replace("inf", "Infinity")) : null);

function kept(row, named) {
  const objective = named === "trials" ? null : state.objective;
  const names = row.optimizer === null ? [] : [row.optimizer].flat();
  return !(objective && row.objective && row.objective !== objective)
    && !names.some((name) => state.hidden.has(name))
    && !(row.seed !== null && !state.seeds.has(row.seed));
}

function ordered(a, b) {
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== null && y !== null) return x - y || 0;
  if (x !== null || y !== null) return x !== null ? -1 : 1;
  return textOf(a).localeCompare(textOf(b), undefined, { numeric: true });
}

function rowsOf(name) {
  const table = tables[name];
  if (name === "ranking" && filtered()) return rankingRows(answerNow() ?? { names: [] });
  const rows = table.rows.filter((row) => kept(row, name));
  const column = name === "standings" && (someOptimizers() || someSeeds()) ? table.columns.indexOf("mean rank") : -1;
  if (column < 0) return rows;
  const byTask = new Map();
  return rows.map((row) => {
    if (!byTask.has(row.objective)) byTask.set(row.objective, ranksOn(row.objective));
    const rank = byTask.get(row.objective).get(row.optimizer);
    return { ...row, cells: row.cells.with(column, rank === undefined ? ["–", "inf"] : [rank.toPrecision(3), rank]) };
  });
}

function renderTable(element) {
  const name = element.dataset.table, table = tables[name];
  const held = broken(table);
  const rows = held.length ? [] : rowsOf(name);
  if (sorting[name]) {
    const [column, rising] = sorting[name];
    rows.sort((a, b) => (rising ? ordered(a.cells[column], b.cells[column]) : ordered(b.cells[column], a.cells[column])));
  }
  const most = state.printing ? ON_PAPER : room[name] ?? FEW;
  element.tBodies[0].replaceChildren(...rows.slice(0, most).map((row) => rowElement(row, table)));
  const box = element.closest(".table");
  box.hidden = !rows.length;
  box.closest(".tabled").querySelector(".held").replaceChildren(...heldWords(held, "table"));
  const more = box.parentElement.querySelector(".more");
  more.hidden = rows.length <= most;
  const n = rows.length.toLocaleString("en");
  more.textContent = state.printing ? `${most} of ${n} rows; the page and its files have all.` : `Show more of ${n} rows (${most} are shown)`;
}

function rowElement(row, table) {
  const cells = row.cells.map((cell, i) => {
    const text = textOf(cell), numeric = table.numeric[i];
    const kind = numeric ? "number" : text.length > 50 ? "long" : null;
    return made("td", { class: kind, "data-number": Array.isArray(cell) ? String(cell[1]) : null }, text);
  });
  const names = row.optimizer === null ? null : [row.optimizer].flat().join(" ");
  const element = made("tr", { "data-optimizer": names, "data-objective": row.objective }, ...cells);
  if (row.key) element.id = row.key;
  if (row.trial !== null && row.trial !== undefined) {
    const link = made("a", { href: "#trials", class: "to-trial" }, `trial ${row.trial}`);
    link.addEventListener("click", (event) => {
      event.preventDefault();
      findTrial(row.objective, row.optimizer, row.seed, row.trial);
    });
    cells.at(-1).append(" ", link);
  }
  return element;
}

function heldWords(held, what) {
  if (!held.length) return [];
  return [`Not shown: this ${what} is computed over all ${listed(held)}, not over a selection.`];
}

for (const element of document.querySelectorAll("table[data-table]")) prepareTable(element);

function prepareTable(element) {
  const name = element.dataset.table;
  for (const heading of element.tHead.rows[0].cells) {
    heading.querySelector("button").addEventListener("click", () => {
      const rising = heading.getAttribute("aria-sort") !== "ascending";
      for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
      sorting[name] = [heading.cellIndex, rising];
      renderTable(element);
    });
  }
  element.closest(".tabled").querySelector(".more").onclick = () => {
    room[name] = (room[name] ?? FEW) * 5;
    renderTable(element);
  };
}
