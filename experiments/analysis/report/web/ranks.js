// Mean ranks of what is chosen, as experiments/analysis/statistics/ranks.py computes them: the
// characters of `codes` order the runs of a seed at each step.

// Ranks from 1 with ties at their mean, for an array of numbers.
function ranked(values) {
  const order = values.map((_, i) => i).sort((a, b) => values[a] - values[b]);
  const found = new Array(values.length);
  for (let i = 0; i < order.length; ) {
    let j = i;
    while (j + 1 < order.length && values[order[j + 1]] === values[order[i]]) j++;
    for (let k = i; k <= j; k++) found[order[k]] = 1 + (i + j) / 2;
    i = j + 1;
  }
  return found;
}

// The tasks that are compared, with the optimizers (by number) and the seeds that they share.
function compared(objective = state.objective) {
  const chosen = objective ? [tasks[taskNumber.get(objective)]] : tasks;
  let names = optimizers.map((_, i) => i).filter((i) => !state.hidden.has(optimizers[i]));
  if (objective || tasks.length === 1) names = names.filter((i) => chosen[0].codes[i]);
  const used = chosen.filter((task) => names.every((i) => task.codes[i])).map((task) => ({
    task,
    seeds: everySeed.filter((seed) => state.seeds.has(seed) && names.every((i) => task.codes[i][seed])),
  }));
  return { names, used: used.filter((each) => each.seeds.length) };
}

// Mean ranks by optimizer at one step, or at the last.
function meanRanks({ names, used }, step) {
  const sums = names.map(() => 0);
  for (const { task, seeds } of used) {
    for (const seed of seeds) {
      const row = ranked(names.map((i) => task.codes[i][seed].charCodeAt(step)));
      row.forEach((rank, k) => (sums[k] += rank / seeds.length / used.length));
    }
  }
  return sums;
}

const lastStep = () => selection.steps.length - 1;

// Maximal groups of optimizers without a distinguishable pair, as answer.py finds them.
function groupsOf(names, better) {
  let columns = [[...names]];
  for (const [a, b] of better.filter((pair) => pair.every((i) => names.includes(i)))) {
    const parts = columns.flatMap((column) => (column.includes(a) && column.includes(b)
      ? [column.filter((i) => i !== a), column.filter((i) => i !== b)] : [column]));
    const inside = (one, other) => one.length < other.length && one.every((i) => other.includes(i));
    columns = parts.filter((one, k) => !parts.some((other, m) => inside(one, other)
      || (m < k && one.length === other.length && one.every((i) => other.includes(i)))));
  }
  const place = (column) => column.map((i) => String(names.indexOf(i)).padStart(4, "0")).join();
  return columns.sort((a, b) => (place(a) < place(b) ? -1 : 1));
}

// The answer for what is chosen: optimizers by mean rank, groups, and who is better than whom.
function answerNow() {
  const found = compared();
  if (found.names.length < 2 || !found.used.length) return null;
  const sums = meanRanks(found, lastStep());
  const order = found.names.map((i, k) => [i, sums[k]])
    .sort((a, b) => Math.round((a[1] - b[1]) * 1e9) || (optimizers[a[0]] < optimizers[b[0]] ? -1 : 1));
  const names = order.map((each) => each[0]);
  const pairs = state.objective ? tasks[taskNumber.get(state.objective)].pairs : selection.across;
  const tested = !someSeeds() && pairs.tested.length > 0;
  const better = tested ? pairs.better : [];
  return {
    names, tested, objective: state.objective || null, n: found.used.length,
    ranks: order.map((each) => each[1]),
    groups: tested ? groupsOf(names, better) : [],
    better: names.map((i) => names.filter((j) => better.some(([a, b]) => a === i && b === j))),
    tests: { tested: pairs.tested.filter((pair) => pair.every((i) => names.includes(i))), better: better.filter((pair) => pair.every((i) => names.includes(i))) },
  };
}

const letter = (i) => String.fromCharCode(97 + (i % 26)) + (i >= 26 ? String(Math.floor(i / 26) + 1) : "");

function rankingRows(answer) {
  return answer.names.map((i, k) => ({
    cells: [optimizers[i], [answer.ranks[k].toFixed(2), answer.ranks[k]],
      answer.groups.flatMap((group, g) => (group.includes(i) ? [letter(g)] : [])).join(" ") || "–",
      answer.better[k].map((j) => optimizers[j]).join(", ") || "–"],
    optimizer: optimizers[i], objective: null, seed: null, trial: null,
  }));
}

function rankingChart(chart) {
  const answer = answerNow();
  if (!answer) return { ...chart, series: [], brackets: [] };
  const last = answer.names.length - 1, place = (i) => last - answer.names.indexOf(i);
  return {
    ...chart,
    x: { ...chart.x, limits: [0.75, answer.names.length + 0.25] },
    y: { ...chart.y, ticks: answer.names.map((i) => optimizers[i]).reverse() },
    series: answer.names.map((i, k) => ({ ...chart.series[0], name: optimizers[i], x: [answer.ranks[k]], y: [place(i)] })),
    brackets: answer.groups.filter((group) => group.length > 1).map((group) => group.map(place)),
  };
}

// Mean ranks over the budget, of what is chosen.
function rankChart(chart) {
  const found = compared();
  const rows = selection.steps.map((_, step) => meanRanks(found, step));
  return {
    ...chart,
    y: { ...chart.y, limits: [found.names.length + 0.25, 0.75] },
    series: found.used.length ? found.names.map((i, k) => ({ ...chart.series[0], name: optimizers[i],
      x: selection.steps, y: rows.map((row) => row[k]) })) : [],
  };
}

// A chart as chosen: with the medians of the chosen seeds, or with the ranks of the chosen runs.
function chosenChart(chart) {
  if (!filtered()) return chart;
  if (chart.name === "ranking") return rankingChart(chart);
  if (chart.name === "rank") return rankChart(chart);
  const hasRuns = chart.series.some((series) => Object.keys(series.runs).length);
  if (!someSeeds() || !hasRuns) return chart;
  return { ...chart, series: chart.series.map(medianOfSeeds).filter((series) => series !== null) };
}

function medianOfSeeds(series) {
  const rows = Object.entries(series.runs).filter(([seed]) => state.seeds.has(Number(seed)))
    .map(([, changes]) => unfolded(changes, series.x.length));
  if (!rows.length) return null;
  const rising = series.y.some((y, i) => i && y !== null && series.y[i - 1] !== null && y > series.y[i - 1]);
  const y = series.x.map((_, i) => middle(rows.map((row) => row[i]), rising));
  return { ...series, y, low: [], high: [], failures: [] };
}

function unfolded(changes, n) {
  const row = [];
  changes.forEach(([from, value], k) => {
    const to = k + 1 < changes.length ? changes[k + 1][0] : n;
    for (let i = from; i < to; i++) row.push(value);
  });
  return row;
}

// The median; a run without a success has null, which is the worst.
function middle(values, rising) {
  const worst = rising ? -Infinity : Infinity;
  const sorted = values.map((v) => v ?? worst).sort((a, b) => a - b);
  const half = (sorted.length - 1) / 2;
  const found = (sorted[Math.floor(half)] + sorted[Math.ceil(half)]) / 2;
  return Number.isFinite(found) ? found : null;
}

// The mean ranks on one objective, for a column of a table.
function ranksOn(objective) {
  const found = compared(objective);
  if (!found.used.length) return new Map();
  const sums = meanRanks(found, lastStep());
  return new Map(found.names.map((i, k) => [optimizers[i], sums[k]]));
}
