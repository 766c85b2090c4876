"use strict";
// What the page holds, and what its reader has chosen. Functions of later files are called from
// page.js only, after all of them are loaded.

const { looks, charts, tables, selection, trials, words } = JSON.parse(document.getElementById("data").textContent);
const optimizers = selection.optimizers;
const tasks = selection.tasks;
const taskNumber = new Map(tasks.map((task, i) => [task.name, i]));
const everySeed = [...new Set(selection.runs.map((run) => run[2]))].sort((a, b) => a - b);

const state = {
  hidden: new Set(), // optimizers that are left out
  seeds: new Set(everySeed), // seeds that are kept
  objective: "", // the only objective of the page; "" for all of them
  one: tasks[0].name, // the objective whose charts are shown
  printing: false,
};

const shown = () => optimizers.filter((name) => !state.hidden.has(name));
const someSeeds = () => state.seeds.size < everySeed.length;
const someOptimizers = () => state.hidden.size > 0;
const filtered = () => someSeeds() || someOptimizers() || state.objective !== "";
const current = () => state.objective || state.one;

// Which of the reader's choices a chart or a table cannot keep to; [] if it is true as it stands.
function broken(thing) {
  const found = [];
  if (someOptimizers() && !thing.follows.includes("optimizers")) found.push("optimizers");
  if (someSeeds() && !thing.follows.includes("seeds")) found.push("seeds");
  if (state.objective && !thing.objective && !thing.follows.includes("objectives")) found.push("objectives");
  return found;
}

const escaped = (text) => text.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]);
const listed = (names) => (names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`);
const counted = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;

function made(kind, attributes = {}, ...children) {
  const element = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}
