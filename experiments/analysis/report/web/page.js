// Ties it together: draws what is visible, and redraws it as the reader chooses.

const plots = [...document.querySelectorAll(".plot")];
const seeds = document.getElementById("seeds");
const selects = [...document.querySelectorAll("select.one")];

// The objective whose charts a section shows: the current one, if the section has charts of it.
function currentIn(section) {
  const names = [...(section.querySelector("select.one")?.options ?? [])].map((option) => option.value);
  return state.objective || (names.length && !names.includes(state.one) ? names[0] : state.one);
}

function isShown(chart, plot) {
  return !chart.objective || chart.objective === currentIn(plot.closest("section"));
}

function renderFigures() {
  for (const plot of plots) {
    if (plot === trialsPlot) continue;
    const chart = charts[plot.dataset.chart], figure = plot.closest("figure");
    const held = isShown(chart, plot) ? broken(chart) : [];
    figure.hidden = !isShown(chart, plot);
    plot.hidden = held.length > 0;
    figure.querySelector(".held").replaceChildren(...heldWords(held, "figure"));
    figure.querySelector("ul.legend").hidden = held.length > 0;
    const caption = figure.querySelector(".caption");
    caption.hidden = held.length > 0;
    if (!figure.hidden && !held.length) say(caption, captionWords(chart) === chart.caption ? null : captionWords(chart));
    plot.dataset.stale = "yes";
  }
  if (trialsPlot) trialsPlot.dataset.stale = "yes";
  for (const none of document.querySelectorAll(".none")) {
    const any = [...none.previousElementSibling.children].some((figure) => !figure.hidden);
    none.textContent = any ? "" : `There is no chart of ${current()} here.`;
  }
}

const visible = (plot) => !plot.hidden && !plot.closest("figure").hidden;

let waiting = null;
function drawVisible() { // one at a time, so that the page answers meanwhile
  clearTimeout(waiting);
  const plot = plots.find((each) => visible(each) && each.dataset.stale);
  if (!plot) return void (document.body.dataset.ready = "yes");
  draw(plot);
  waiting = setTimeout(drawVisible);
}

function renderTables() {
  for (const element of document.querySelectorAll("table[data-table]")) renderTable(element);
}

function refresh() {
  delete document.body.dataset.ready;
  renderWords();
  renderFigures();
  renderTrials();
  renderTables();
  explainAll();
  for (const select of selects) select.value = currentIn(select.closest("section"));
  for (const box of document.querySelectorAll(".chooser")) box.hidden = state.objective !== "";
  document.getElementById("reset").hidden = !filtered();
  seeds?.querySelector("summary").replaceChildren(someSeeds() ? `seeds: ${state.seeds.size} of ${everySeed.length}` : `seeds: all ${everySeed.length}`);
  document.getElementById("status").textContent = filtered() ? factsWords() : "";
  drawVisible();
}

for (const chip of document.querySelectorAll(".chip")) {
  chip.addEventListener("click", () => {
    const name = chip.dataset.optimizer;
    state.hidden.has(name) ? state.hidden.delete(name) : state.hidden.add(name);
    chip.setAttribute("aria-pressed", String(!state.hidden.has(name)));
    refresh();
  });
}

const objective = document.getElementById("objective");
objective?.addEventListener("change", () => ((state.objective = objective.value), refresh()));
for (const select of selects) select.addEventListener("change", () => ((state.one = select.value), refresh()));
for (const button of document.querySelectorAll(".chooser button")) {
  button.addEventListener("click", () => {
    const { options, selectedIndex } = button.parentElement.querySelector("select");
    const step = button.classList.contains("before") ? -1 : 1;
    state.one = options[(selectedIndex + step + options.length) % options.length].value;
    refresh();
  });
}

seeds?.querySelector(".boxes").append(...everySeed.map((seed) => {
  const box = made("input", { type: "checkbox", value: String(seed) });
  box.checked = true;
  return made("label", {}, box, ` ${seed}`);
}));
seeds?.addEventListener("change", () => {
  const chosen = [...seeds.querySelectorAll("input:checked")].map((box) => Number(box.value));
  state.seeds = new Set(chosen);
  refresh();
});

document.getElementById("reset").addEventListener("click", () => {
  state.hidden.clear();
  state.seeds = new Set(everySeed);
  state.objective = "";
  if (objective) objective.value = "";
  for (const chip of document.querySelectorAll(".chip")) chip.setAttribute("aria-pressed", "true");
  for (const box of seeds?.querySelectorAll("input") ?? []) box.checked = true;
  refresh();
});

// Printing: everything that is open on paper, in light colours and at the width of a page.
let opened = [];
function beforePrint() {
  state.printing = true;
  document.documentElement.classList.add("printing");
  opened = [...document.querySelectorAll("details:not([open])")].filter((each) => each !== seeds);
  for (const each of opened) each.open = true;
  renderTables();
  plots.filter(visible).forEach(draw);
}
addEventListener("beforeprint", beforePrint);
addEventListener("afterprint", () => {
  state.printing = false;
  document.documentElement.classList.remove("printing");
  for (const each of opened) each.open = false;
  renderTables();
  plots.filter(visible).forEach(draw);
});

let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width || state.printing) return;
  width = innerWidth;
  for (const plot of plots) plot.dataset.stale = "yes";
  drawVisible();
});
function renderChips() {
  for (const chip of document.querySelectorAll(".chip")) swatch(chip.querySelector("svg"), lookNamed(chip.dataset.optimizer));
}
dark.addEventListener("change", () => {
  renderChips();
  for (const plot of plots) plot.dataset.stale = "yes";
  drawVisible();
});

for (const button of document.querySelectorAll("th button")) {
  const key = button.textContent.trim().toLowerCase();
  if (terms.has(key)) button.classList.add("term"), button.dataset.term = key, button.setAttribute("aria-describedby", terms.get(key).id);
}
renderChips();
refresh();
