// Draws charts by Plotly.

const TONES = ["#c9c9c9", "#7fa8c9", "#b8410a"]; // as in figures.py
const BAR = 13; // pixels from one bar of a group to the next
const PAPER = 640; // pixels of the width of a printed page
const PLAIN = { colour: "#0072B2", dash: "solid", marker: "circle" };
const dark = matchMedia("(prefers-color-scheme: dark)");
const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// A colour that is told from the ground: on a dark screen, dark colours are mixed with white.
function legible(colour) {
  if (!dark.matches || state.printing || !/^#[0-9a-f]{6}$/i.test(colour)) return colour;
  const parts = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
  const [r, g, b] = parts.map((part) => (part / 255) ** 2.2);
  const white = Math.max(0, 0.55 - 2.5 * (0.2126 * r + 0.7152 * g + 0.0722 * b));
  return "#" + parts.map((part) => Math.round(part + (255 - part) * white).toString(16).padStart(2, "0")).join("");
}

const lookNamed = (name) => looks[name] && { ...looks[name], colour: legible(looks[name].colour) };

function lookOf(series) {
  return series.look === "optimizer" ? (lookNamed(series.name) ?? PLAIN) : PLAIN;
}

// A configuration on several lines, as a hover label has no width of its own.
function wrapped(text) {
  return escaped(text).replace(/((?:[^,]*,){3})/g, "$1<br>");
}

// A few points of each line have its marker, staggered, so that lines that coincide show.
function sizes(n, number) {
  const every = Math.max(1, Math.floor(n / 8));
  const first = Math.floor((number * every) / 4) % every;
  return Array.from({ length: n }, (_, i) => (n <= 8 || i % every === first ? 7 : 0));
}

// The more lines there are, the fainter their bands. A band has gaps where an end of it is unknown.
function band(series, look, shape, alpha) {
  const line = { width: 0, shape };
  const known = series.x.map((_, i) => (series.low[i] ?? null) !== null && (series.high[i] ?? null) !== null);
  const traces = [];
  for (let first = 0, end; first < known.length; first = end + 1) {
    for (end = first; known[end]; ) end++;
    if (end === first) continue;
    const shared = { x: series.x.slice(first, end), mode: "lines", line, hoverinfo: "skip", showlegend: false, meta: series.name };
    traces.push({ ...shared, y: series.low.slice(first, end) },
      { ...shared, y: series.high.slice(first, end), fill: "tonexty", fillcolor: look.colour + alpha });
  }
  return traces;
}

const failing = (chart) => chart.series.filter((s) => s.failures.length && !state.hidden.has(s.name));

// Failures have no number: they stand on a strip below, a row for each optimizer.
function crosses(chart, series, look) {
  const row = failing(chart).indexOf(series);
  return {
    x: series.failures.map((f) => f[0]), y: series.failures.map(() => row),
    yaxis: "y2", mode: "markers", meta: series.name, cliponaxis: false, showlegend: false,
    marker: { symbol: "x-thin", size: 6, line: { color: look.colour, width: 1.4 } },
    text: series.failures.map((f) => `${escaped(series.name)}: ${f[1]}`),
    hovertemplate: "%{text}, at %{x}<extra></extra>",
  };
}

function faint(chart) {
  const n = chart.series.filter((s) => !state.hidden.has(s.name)).length;
  return n <= 3 ? "2e" : n <= 6 ? "1c" : "10";
}

function drawn(chart, series, number) {
  if (series.look.startsWith("tone")) {
    const tone = Number(series.look.slice(4));
    return [{ x: series.x, y: series.y, mode: "lines", name: escaped(series.name), hoverinfo: "skip",
      connectgaps: false, showlegend: true, line: { color: TONES[tone], width: 0.6 + 0.4 * tone } }];
  }
  if (series.look === "marks") {
    const own = lookNamed(series.name), look = own ?? { colour: color("--text"), marker: "star" };
    const marks = { x: series.x, y: series.y, mode: "markers", name: escaped(series.name), meta: own ? series.name : undefined,
      showlegend: !own, text: series.hover.map(wrapped), customdata: series.real ?? series.y,
      hovertemplate: `%{customdata:.4g} at %{x:.4g}<br>%{text}<extra>${escaped(series.name)}</extra>`,
      marker: { color: look.colour, opacity: own ? 0.6 : 1,
        symbol: series.off ? series.off.map((o) => ["triangle-down-open", look.marker, "triangle-up-open"][o + 1]) : look.marker,
        size: series.large ? series.large.map((large) => (large ? 10 : 5)) : own ? 5 : 11 } };
    return series.failures.length ? [marks, crosses(chart, series, look)] : [marks];
  }
  const look = { ...lookOf(series) };
  if (chart.kind === "dot") {
    const ends = series.low.length && { type: "data", symmetric: false, thickness: 1.2, width: 0,
      array: series.high.map((h, i) => h - series.x[i]), arrayminus: series.low.map((l, i) => series.x[i] - l) };
    const hollow = series.look === "hollow";
    if (hollow) look.colour = "#D55E00";
    return [{ x: series.x, y: series.y, mode: "markers", name: escaped(series.name), meta: series.look === "optimizer" ? series.name : undefined,
      showlegend: series.look !== "optimizer", ...(ends ? { error_x: { ...ends, color: look.colour } } : {}),
      text: series.y.map((y) => escaped(chart.y.ticks[Math.round(y)] ?? "")),
      hovertemplate: `%{text}: %{x:.4g}<extra>${escaped(series.name)}</extra>`,
      marker: { color: hollow ? color("--ground") : look.colour, size: 9, symbol: look.marker,
        line: { color: look.colour, width: 1.6 } } }];
  }
  const shape = chart.kind === "step" ? "hv" : "linear";
  const traces = series.low.length ? band(series, look, shape, faint(chart)) : [];
  traces.push({ x: series.x, y: series.y, mode: "lines+markers", name: escaped(series.name), meta: series.name,
    showlegend: false, line: { color: look.colour, dash: look.dash, width: 1.8, shape },
    marker: { color: look.colour, symbol: look.marker, size: sizes(series.x.length, number) },
    hovertemplate: `%{y:.4g} at %{x:.4g}<extra>${escaped(series.name)}</extra>` });
  if (series.failures.length) traces.push(crosses(chart, series, look));
  return traces;
}

// Ticks and range of a logarithmic axis: powers of ten, or 1, 2, 5 where there are few.
function decades(values) {
  const positive = values.filter((v) => v > 0);
  if (!positive.length) return {};
  const low = Math.log10(Math.min(...positive)), high = Math.log10(Math.max(...positive));
  const pad = Math.max(0.03 * (high - low), 0.02), every = Math.max(1, Math.ceil((high - low) / 6));
  const tickvals = [];
  for (let k = Math.floor(low); k <= high; k++) {
    if (high - low > 2.5) { if (k % every === 0) tickvals.push(10 ** k); continue; }
    for (const m of high - low > 0.6 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 8]) tickvals.push(m * 10 ** k);
  }
  const text = (v) => (v >= 0.001 && v < 1e4 ? String(Number(v.toPrecision(2)))
    : `${v.toExponential()}`.replace("1e", "10<sup>").replace("e", "×10<sup>").replace("+", "") + "</sup>");
  return { tickvals, ticktext: tickvals.map(text), range: [low - pad, high + pad] };
}

// A title on as many lines as the length of its axis in pixels needs.
function fitted(title, length) {
  const lines = [""];
  for (const word of title.split(" ")) {
    if (lines.at(-1) && (lines.at(-1).length + word.length) * 6.6 > length) lines.push("");
    lines.push(`${lines.pop()} ${word}`.trim());
  }
  return lines.map(escaped).join("<br>");
}

function axis(given, chart, values, length) {
  const made = {
    title: { text: fitted(given.title, length), standoff: 8, font: { size: 12 } }, type: given.log ? "log" : "linear",
    gridcolor: color("--line"), zeroline: false, linecolor: color("--quiet"), automargin: true, fixedrange: false,
    exponentformat: "power",
  };
  if (given.log) Object.assign(made, decades(values));
  if (given.limits) made.range = given.limits;
  if (given.ticks.length) {
    made.tickvals = given.ticks.map((_, i) => i);
    made.ticktext = given.ticks.map(escaped);
    made.showgrid = chart.kind === "dot" || chart.notes.length > 0;
  }
  return made;
}

function layout(chart, width) {
  const dots = chart.kind === "dot";
  const ends = chart.series.flatMap((s) => [...s.low, ...s.high]);
  const xs = [...chart.series.flatMap((s) => s.x), ...(dots ? ends : [])];
  const ys = [...chart.series.flatMap((s) => s.y), ...(dots ? [] : ends)];
  const made = {
    width, height: dots ? Math.max(170, 26 * chart.y.ticks.length + 90) : 290, autosize: false,
    margin: { l: 52, r: dots && chart.brackets.length ? 18 + BAR * chart.brackets.length : 14, t: 8, b: 44 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "closest",
    font: { family: "system-ui, sans-serif", size: 11.5, color: color("--text") },
    xaxis: axis(chart.x, chart, xs, width - 70), yaxis: axis(chart.y, chart, ys, dots ? Infinity : 225),
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 11 } },
    shapes: [], annotations: [],
  };
  if (chart.series.some((s) => s.look !== "optimizer")) made.margin.t = 34;
  if (dots) made.yaxis.range = [-0.6, chart.y.ticks.length - 0.4];
  if (chart.notes.length) made.yaxis.visible = made.xaxis.showline = false, made.margin.l = 14;
  strip(made, chart);
  for (const [y, text] of chart.lines) {
    made.shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y,
      line: { color: color("--quiet"), width: 1, dash: "dot" } });
    made.annotations.push({ xref: "paper", x: 1, y, text: escaped(text), showarrow: false,
      xanchor: "right", yanchor: "bottom", font: { size: 10.5, color: color("--quiet") } });
  }
  chart.brackets.forEach((members, i) => {
    const x = 1 + (14 + BAR * i) / (width - made.margin.r - 90);
    made.shapes.push({ type: "line", xref: "paper", x0: x, x1: x, y0: Math.min(...members), y1: Math.max(...members),
      line: { color: color("--text"), width: 1.6 } });
    for (const y of members) made.annotations.push({ xref: "paper", x, y, text: "●", showarrow: false, xanchor: "center", font: { size: 9, color: color("--text") } });
  });
  for (const [x, y, text] of chart.notes) made.annotations.push({ x, y, text: escaped(text), showarrow: false,
    font: { size: 10.5, color: color("--text") }, bgcolor: color("--ground"), borderpad: 1 });
  return made;
}

function strip(made, chart) {
  const rows = failing(chart);
  if (!rows.length) return;
  const low = 14 + 12 * rows.length, plotted = made.height + low - made.margin.t - made.margin.b;
  made.height += low;
  made.yaxis.domain = [(low + 8) / plotted, 1];
  made.yaxis2 = { domain: [0, low / plotted], range: [rows.length - 0.4, -0.6], fixedrange: true, zeroline: false,
    showgrid: false, tickvals: rows.map((_, i) => i), ticktext: rows.map((s) => escaped(s.name.length > 14 ? s.name.slice(0, 13) + "…" : s.name)),
    tickfont: { size: 9.5, color: color("--quiet") }, automargin: true };
  made.shapes.push({ type: "rect", xref: "paper", yref: "paper", x0: 0, x1: 1, y0: 0, y1: low / plotted,
    fillcolor: color("--raised"), line: { width: 0 }, layer: "below" });
  made.annotations.push({ xref: "paper", yref: "paper", x: 1, y: low / plotted, text: "× failed", showarrow: false,
    xanchor: "right", yanchor: "bottom", font: { size: 10, color: color("--quiet") } });
  made.xaxis.anchor = "y2";
}

function draw(element) {
  const chart = element === trialsPlot ? trialsChart() : chosenChart(charts[element.dataset.chart]);
  const traces = chart.series.flatMap((series, i) => drawn(chart, series, i));
  for (const trace of traces) trace.visible = !state.hidden.has(trace.meta);
  const options = { displayModeBar: false, responsive: false, scrollZoom: false };
  const width = state.printing ? PAPER : element.clientWidth;
  Plotly.react(element, traces, layout(chart, width), options);
  element.removeAllListeners?.("plotly_click");
  element.on("plotly_click", (event) => clicked(chart, event.points[0]));
  element.dataset.drawn = element.style.minHeight = "0";
  delete element.dataset.stale;
  element.setAttribute("aria-label", described(chart));
  legend(element.closest("figure"), chart);
}

// From a point to its trial, where the point is one.
function clicked(chart, point) {
  const series = chart.series.find((each) => each.look === "marks" && escaped(each.name) === point.data.name);
  if (!series) return;
  if (series.points) showTrial(series.points[point.pointIndex], false);
  else if (series.trials.length) findTrial(chart.objective, series.name, ...series.trials[point.pointIndex]);
}

// What a chart shows, for readers who cannot see it.
function described(chart) {
  const lines = chart.series.filter((series) => !state.hidden.has(series.name));
  const last = lines.filter((series) => series.look === "optimizer").map((series) => {
    const along = chart.kind === "dot" ? series.x : series.y;
    const value = along.findLast((v) => v !== null);
    return `${series.name} ${value === undefined ? "none" : Number(value.toPrecision(3))}`;
  });
  const axes = [chart.y.title, chart.x.title].filter(Boolean).join(" over ");
  const names = last.length ? `${chart.kind === "dot" ? "Values" : "Last values"}: ${last.join(", ")}.` : `Shown: ${lines.map((s) => s.name).join(", ")}.`;
  return `Chart: ${chart.title}. ${axes}. ${names}`;
}

// A legend below each figure, for paper, where the bar of optimizers is not.
function legend(figure, chart) {
  const names = chart.kind === "dot" ? [] : [...new Set(chart.series.map((series) => series.name))].filter((name) => looks[name] && !state.hidden.has(name));
  figure.querySelector("ul.legend").replaceChildren(...names.map((name) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    for (const [key, value] of [["width", 34], ["height", 12]]) svg.setAttribute(key, value);
    swatch(svg, lookNamed(name));
    return made("li", {}, svg, ` ${name}`);
  }));
}

function swatch(svg, look) {
  const dashes = { solid: "", dash: "5 3", dot: "1.5 2.5", dashdot: "5 2 1.5 2" }[look.dash];
  const shapes = {
    circle: "M13 6a4 4 0 1 0 8 0a4 4 0 1 0-8 0", square: "M13.5 2.5h7v7h-7z", diamond: "M17 1l5 5-5 5-5-5z",
    "triangle-up": "M17 1.5l4.5 8h-9z", "triangle-down": "M17 10.5l4.5-8h-9z",
    cross: "M15.5 2h3v2.5H21v3h-2.5V10h-3V7.5H13v-3h2.5z",
    star: "M17 1l1.500 3.300 3.500.4-2.600 2.400.7 3.600-3.100-1.800-3.100 1.800.7-3.600L12 4.700l3.500-.4z",
    pentagon: "M17 1l5 3.800-1.900 6h-6.200l-1.900-6z", hexagon: "M15 2h4.500l2.200 4-2.200 4h-4.500l-2.200-4z",
    "triangle-left": "M13 6l8-4.500v9z", "triangle-right": "M21.500 6l-8-4.500v9z", "diamond-tall": "M17 1l3 5-3 5-3-5z",
  };
  svg.innerHTML = `<path d="M1 6H33" stroke="${look.colour}" stroke-width="2" stroke-dasharray="${dashes}"/>` +
    `<path d="${shapes[look.marker]}" fill="${look.colour}"/>`;
}
