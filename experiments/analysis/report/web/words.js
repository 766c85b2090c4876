// Words that follow the reader's choices, and the glossary.

const original = new Map(); // elements whose text depends on choices, with their text
function say(element, text) {
  if (!original.has(element)) original.set(element, element.textContent);
  const wanted = text ?? original.get(element);
  if ((element.dataset.said ?? original.get(element)) === wanted) return;
  element.dataset.said = wanted;
  element.textContent = wanted;
}

function answerWords() {
  const answer = answerNow();
  if (!answer) return "Nothing is compared: choose at least two optimizers that have seeds in common.";
  const names = answer.names.map((i) => optimizers[i]), [first] = names;
  const tied = names.filter((_, k) => Math.abs(answer.ranks[k] - answer.ranks[0]) < 1e-9);
  const where = answer.objective ? `On ${answer.objective}, ` : "";
  const said = `${where}${listed(tied)} ${tied.length > 1 ? "share" : "has"} the best mean rank (${answer.ranks[0].toFixed(2)}, where 1 is best and ${names.length} is worst)`;
  if (someSeeds()) return `${said}. Tests of significance are not computed for a selection of seeds.`;
  if (!answer.tested) return `${said}, but no test with this amount of data can tell it from chance.`;
  const beaten = answer.better[0].map((i) => optimizers[i]);
  const alike = names.slice(1).filter((name, k) => !beaten.includes(name) && !answer.better[k + 1].includes(answer.names[0]));
  const others = beaten.length === names.length - 1 ? "all others" : beaten.length > 6 ? `${beaten.length} others` : listed(beaten);
  const rest = tied.length > 1 ? "; the groups below say who is distinguishable"
    : !beaten.length ? ", but it is not distinguishable from any of the others"
      : !alike.length ? `, and it is better than ${others}`
        : `; it is better than ${others}, and not distinguishable from ${listed(alike)}`;
  const note = someOptimizers() ? ` Ranks are among the ${names.length} optimizers shown; tests stay corrected for all pairs.` : "";
  return `${said}${rest}.${note}`;
}

// The verdict on what is chosen, from the pairs that were tested.
function testWords() {
  if (someSeeds()) return "The tests are hidden: they are computed over all seeds.";
  const answer = answerNow();
  if (!answer) return "";
  if (!someOptimizers()) return tasks[taskNumber.get(state.objective)].said;
  const { tested, better } = answer.tests;
  const where = answer.objective ? `On ${answer.objective}` : `Across ${counted(answer.n, "task")}`;
  if (!tested.length) return `${where}, no pair of the optimizers shown could be tested.`;
  const winners = answer.names.filter((i) => better.some(([a]) => a === i));
  const said = winners.map((i) => `${optimizers[i]} is better than ${listed(answer.names.filter((j) => better.some(([a, b]) => a === i && b === j)).map((j) => optimizers[j]))}`);
  const rest = tested.length - better.length;
  const pairs = `${rest} of ${tested.length} pairs ${rest === 1 ? "is" : "are"} not distinguishable`;
  return `${where}, among the optimizers shown (corrected for all pairs of the comparison): ${[...said, pairs].join("; ")}.`;
}

function factsWords() {
  const runs = selection.runs.filter(([task, optimizer, seed]) => (!state.objective || tasks[task].name === state.objective)
    && !state.hidden.has(optimizers[optimizer]) && state.seeds.has(seed));
  const sum = (place) => runs.reduce((total, run) => total + run[place], 0);
  const seeds = new Set(runs.map((run) => run[2]));
  return `Selection: ${counted(runs.length, "run")} · ${counted(sum(3), "evaluation")} · ${sum(4).toLocaleString("en")} failed · ${counted(seeds.size, "seed")}`;
}

function titleWords() {
  const names = shown(), n = names.length;
  const where = state.objective || (tasks.length === 1 ? tasks[0].name : `${tasks.length} objectives`);
  return n === 1 ? `${names[0]} on ${where}` : `${counted(n, "optimizer")} on ${where}`;
}

function captionWords(chart) {
  if (!filtered()) return chart.caption;
  const seeds = `${counted(state.seeds.size, "chosen seed")}`;
  if (chart.name === "convergence" && someSeeds()) return `Median of the runs of ${seeds}. Intervals and failures are not shown for a selection of seeds.`;
  const where = state.objective || counted(compared().used.length, "objective");
  if (chart.name === "rank") return `Mean over ${someSeeds() ? seeds : "the seeds"} of ${where}, among the optimizers shown. A run without success ranks last.`;
  if (chart.name === "ranking") {
    return `Mean ranks on ${where}, among the optimizers shown. ${someSeeds() ? "There are no bars: tests are not computed for a selection of seeds."
      : answerNow()?.tested ? "A bar on the right joins optimizers of which no two are distinguishable; its dots mark them."
        : "No test can tell the optimizers apart with this amount of data, so there are no bars."}`;
  }
  return chart.caption;
}

function renderWords() {
  const narrow = someOptimizers() || someSeeds();
  say(document.querySelector("h1"), filtered() ? titleWords() : null);
  say(document.querySelector(".facts"), filtered() ? factsWords() : null);
  say(document.getElementById("answer"), filtered() ? answerWords() : null);
  document.getElementById("tests").hidden = filtered();
  const chosen = document.getElementById("tests-chosen");
  chosen.hidden = !filtered();
  if (filtered()) say(chosen, testWords());
  for (const section of document.querySelectorAll("main section[data-lines]")) {
    let left = 0;
    for (const line of section.querySelectorAll("[data-about]")) {
      const about = JSON.parse(line.dataset.about);
      const other = Boolean(state.objective && about.length && !about.includes(state.objective));
      line.hidden = Boolean(other || narrow || (state.objective && !about.length));
      left += line.hidden && !other;
    }
    section.querySelector(":scope > .held").textContent = left
      ? `${counted(left, "sentence")} hidden here: computed over all ${listed([someOptimizers() && "optimizers", someSeeds() && "seeds", state.objective && "objectives"].filter(Boolean))}.` : "";
  }
  for (const mark of document.querySelectorAll(".of-all")) mark.hidden = !filtered();
}

// Glossary: the first use of a term in a section is a button, which explains it on hover and focus.
const terms = new Map([...document.querySelectorAll("#glossary dt")].map((dt) => [dt.dataset.term.toLowerCase(), dt.nextElementSibling]));
const pattern = new RegExp(`(?<![\\w.])(${[...terms.keys()].sort((a, b) => b.length - a.length).map((t) => t.replace(/[^\w\s]/g, "\\$&")).join("|")})(s?)(?!\\w)`, "i");
const tip = document.getElementById("tip");

// Explain the words of the page in their order; those that have changed may have other terms.
function explainAll() {
  for (const term of document.querySelectorAll("main section .term:not(th *), header .term")) term.replaceWith(term.textContent);
  for (const element of document.querySelectorAll(".facts, main p:not(.held), main li, main figcaption .caption")) {
    element.normalize();
    explain(element);
  }
}

function explain(element) {
  const section = element.closest("section, header");
  const used = new Set([...(section?.querySelectorAll(".term:not(th *)") ?? [])].map((term) => term.dataset.term));
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const nodes = [];
  while (walker.nextNode()) if (!walker.currentNode.parentElement.closest("button, a, summary, code, th, td")) nodes.push(walker.currentNode);
  for (let node of nodes) {
    for (let found = pattern.exec(node.data), from = 0; found; found = pattern.exec(node.data.slice(from)), found && (found.index += from)) {
      const key = found[1].toLowerCase();
      if (used.has(key) || key === "†") { from = found.index + found[0].length; continue; }
      used.add(key);
      const rest = node.splitText(found.index);
      const after = rest.splitText(found[0].length);
      rest.replaceWith(termButton(found[0], key));
      node = after, from = 0;
    }
  }
}

function termButton(text, key) {
  return made("button", { type: "button", class: "term", "data-term": key, "aria-describedby": terms.get(key).id }, text);
}

function showTip(term) {
  tip.textContent = terms.get(term.dataset.term).textContent;
  tip.hidden = false;
  const box = term.getBoundingClientRect(), own = tip.getBoundingClientRect();
  const left = Math.max(8, Math.min(box.left, document.documentElement.clientWidth - own.width - 8));
  const above = box.bottom + own.height + 12 > innerHeight;
  tip.style.left = `${left + scrollX}px`;
  tip.style.top = `${(above ? box.top - own.height - 6 : box.bottom + 6) + scrollY}px`;
}

const hideTip = () => (tip.hidden = true);
for (const kind of ["mouseover", "focusin", "click"]) {
  document.addEventListener(kind, (event) => {
    const term = event.target.closest?.(".term");
    if (term) showTip(term);
  });
}
for (const kind of ["mouseout", "focusout"]) document.addEventListener(kind, (event) => event.target.closest?.(".term") && hideTip());
document.addEventListener("keydown", (event) => event.key === "Escape" && hideTip());
