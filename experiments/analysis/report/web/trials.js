// From a point to its trial: a chart of evaluations, a table of them, and what one of them is.

const trialsPlot = document.querySelector("[data-trials]");
const pinned = document.getElementById("pinned");
const trialsNow = () => trials[taskNumber.get(current())];

function trialText(held, k) {
  return Object.entries(held.parameters).filter(([, column]) => column[k] !== null)
    .map(([name, column]) => `${name}=${column[k]}`).join(", ");
}

const trialKey = (held, k) => `trial-${held.optimizer[k]}-${held.seed[k]}-${held.id[k]}`;
const keptTrial = (held, k) => !state.hidden.has(optimizers[held.optimizer[k]]) && state.seeds.has(held.seed[k]);

// The chart of the evaluations of one objective; what lies off the scale stands at its edge.
function trialsChart() {
  const held = trialsNow(), best = new Set(held.best);
  const [low, high] = held.view ?? [-Infinity, Infinity];
  const series = shown().map((name) => {
    const number = optimizers.indexOf(name);
    const own = held.id.map((_, k) => k).filter((k) => held.optimizer[k] === number && keptTrial(held, k));
    const points = own.filter((k) => held.y[k] !== null);
    return {
      name, look: "marks", low: [], high: [], runs: {}, trials: [], points,
      x: points.map((k) => held.at[k]),
      y: points.map((k) => Math.min(high, Math.max(low, held.y[k]))),
      real: points.map((k) => held.y[k]),
      off: points.map((k) => (held.y[k] > high ? 1 : held.y[k] < low ? -1 : 0)),
      large: points.map((k) => best.has(k)),
      hover: points.map((k) => `seed ${held.seed[k]}, trial ${held.id[k]}: ${trialText(held, k)}`),
      failures: own.filter((k) => held.error[k] !== undefined).map((k) => [held.at[k], `seed ${held.seed[k]}, trial ${held.id[k]}: ${held.error[k]}`]),
    };
  });
  return {
    name: "trials", title: current(), kind: "line", objective: current(), follows: ["optimizers", "seeds"],
    x: { title: words.budget, log: false, ticks: [], limits: null },
    y: { title: held.label, log: held.log, ticks: [], limits: held.view },
    series, caption: "", lines: [], brackets: [], notes: [],
  };
}

function trialsTable() {
  const held = trialsNow(), best = new Set(held.best), broken = new Set(held.broken);
  const metrics = Object.entries(held.metrics);
  const partial = held.fidelity.some((f) => f < 1);
  const names = Object.keys(held.parameters);
  const failures = Object.keys(held.error).length > 0;
  const columns = ["optimizer", "seed", "trial", "budget spent", ...(partial ? ["fidelity"] : []), held.label, ...metrics.map(([name]) => name), "incumbent",
    ...names, ...(failures ? ["error"] : [])];
  const cell = (value) => (typeof value === "number" ? [String(value), value] : value === null ? "–" : String(value));
  const rows = held.id.map((id, k) => ({
    cells: [optimizers[held.optimizer[k]], cell(held.seed[k]), cell(id), cell(held.at[k]), ...(partial ? [cell(held.fidelity[k])] : []),
      held.y[k] === null ? ["–", "inf"] : cell(held.y[k]), ...metrics.map(([, column]) => (column[k] === null ? ["–", "inf"] : cell(column[k]))),
      best.has(k) ? "yes" : broken.has(k) ? "breaks a limit" : "", ...names.map((name) => cell(held.parameters[name][k])),
      ...(failures ? [held.error[k] ?? ""] : [])],
    optimizer: optimizers[held.optimizer[k]], objective: current(), seed: held.seed[k], trial: null, key: trialKey(held, k),
  }));
  const numeric = columns.map((_, i) => rows.some((row) => Array.isArray(row.cells[i])));
  return { columns, rows, numeric, follows: ["optimizers", "seeds", "objectives"], objective: current() };
}

let trialsOf = null; // the objective whose trials are in the table
function renderTrials() {
  const element = document.querySelector('table[data-table="trials"]');
  if (!element) return;
  if (trialsOf !== current()) {
    trialsOf = current();
    tables.trials = trialsTable();
    delete sorting.trials, delete room.trials;
    element.tHead.rows[0].replaceChildren(...tables.trials.columns.map((column, i) =>
      made("th", { scope: "col", class: tables.trials.numeric[i] ? "number" : null }, made("button", {}, column))));
    prepareTable(element);
    pinned.hidden = true;
    const held = trialsNow();
    document.getElementById("trials-of").textContent = held.id.length < held.all
      ? `${held.id.length.toLocaleString("en")} of ${held.all.toLocaleString("en")} evaluations: every incumbent, then former incumbents, then others drawn evenly.`
      : `All ${held.all.toLocaleString("en")} evaluations.`;
  }
  renderTable(element);
}

// Show the row of a trial, and its configuration below the chart.
function showTrial(k, scroll) {
  const held = trialsNow();
  const others = Object.entries(held.metrics).map(([name, column]) => `, ${name} ${column[k] ?? "–"}`).join("");
  const limits = held.broken.includes(k) ? ", which breaks a limit" : "";
  const number = held.y[k] === null ? `failed: ${held.error[k] ?? "no number"}` : `${held.label} ${held.y[k]}${others}${limits}`;
  const link = made("a", { href: `#${trialKey(held, k)}` }, "its row in the table");
  link.addEventListener("click", (event) => (event.preventDefault(), toRow(k)));
  pinned.replaceChildren(made("strong", {}, `${optimizers[held.optimizer[k]]}, seed ${held.seed[k]}, trial ${held.id[k]}`),
    `: ${number}. `, made("code", {}, trialText(held, k)), " ", link);
  pinned.hidden = false;
  if (scroll) toRow(k);
}

function toRow(k) {
  const key = trialKey(trialsNow(), k);
  if (!document.getElementById(key)) {
    room.trials = trialsNow().id.length;
    renderTrials();
  }
  const row = document.getElementById(key);
  for (const other of document.querySelectorAll("tr.chosen")) other.classList.remove("chosen");
  row.classList.add("chosen");
  row.tabIndex = -1;
  row.scrollIntoView({ block: "center" });
  row.focus({ preventScroll: true });
}

// Go to a trial that another chart or table names.
function findTrial(objective, optimizer, seed, id) {
  if (objective && objective !== current()) state.one = objective, refresh();
  const held = trialsNow(), number = optimizers.indexOf(optimizer);
  const k = held.id.findIndex((other, i) => other === id && held.seed[i] === seed && held.optimizer[i] === number);
  if (k >= 0) return showTrial(k, true);
  pinned.textContent = `The page does not hold trial ${id} of ${optimizer}, seed ${seed}; its log does.`;
  pinned.hidden = false;
  pinned.scrollIntoView({ block: "center" });
}
