function drawAbout() {
  const run = currentRun(), part = run.total !== null && run.total !== run.samples ? ` of ${run.total.toLocaleString("en")}${run.drawn ? " drawn at random" : ""}` : "";
  byId("about").textContent = `${run.task}, ${run.split} split: ${run.samples.toLocaleString("en")}${part} rows, ${run.exits} exits on ${run.depth} layers of ${run.backbone}`;
  byId("verdict").textContent = run.verdict.join(" ");
  byId("criterion").replaceChildren(...run.criteria.map(({ name }, place) => h("option", { value: place }, name)));
  byId("metric").replaceChildren(...run.metrics.map((name) => h("option", { value: name }, metricName(name))));
  byId("config").textContent = run.config;
  byId("commands").replaceChildren(...run.commands.map(([what, command]) => h("tr", {}, h("td", {}, what), h("td", {}, h("code", {}, command)))));
  byId("notes").replaceChildren(...run.notes.map((note) => h("li", {}, note)));
}

/** Where a run is shown first: at its chosen point, else at the criterion that is best at twice the speed. */
function startOf(place) {
  const run = (state.run = place, currentRun()), metric = run.metrics.includes(state.metric) ? state.metric : run.metrics[0];
  if (run.chosen) {
    const criterion = run.criteria.findIndex(({ name }) => name === run.chosen.criterion);
    return { run: place, metric, criterion, point: pointOf(run.criteria[criterion], run.chosen.threshold), row: null };
  }
  const near = run.criteria.map((criterion) => pointNear(run, criterion, 2));
  const scores = run.criteria.map((criterion, at) => (speedupAt(run, criterion, near[at]) < 1.7 ? -Infinity : criterion.scores[metric][near[at]]));
  const criterion = scores.indexOf(Math.max(...scores));
  return { run: place, metric, criterion, point: near[criterion], row: null };
}

function open(place) {
  const start = startOf(place);
  Object.assign(state, { run: null, criterion: null, point: null, metric: null });
  change(start);
}

watch(["run"], drawAbout);
watch(["run", "criterion"], () => { byId("criterion").value = state.criterion; });
watch(["run", "metric"], () => { byId("metric").value = state.metric; });
byId("metric").addEventListener("change", (event) => change({ metric: event.target.value }));
byId("zoom").addEventListener("click", (event) => {
  change({ zoomed: !state.zoomed });
  event.target.setAttribute("aria-pressed", String(state.zoomed));
});
byId("run").replaceChildren(...content.runs.map(({ name }, place) => h("option", { value: place }, name)));
byId("run").addEventListener("change", (event) => open(Number(event.target.value)));
byId("run-label").hidden = content.runs.length < 2;

const isDark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
const nameTheme = () => { byId("theme").textContent = isDark() ? "Light" : "Dark"; };
byId("theme").addEventListener("click", () => { document.documentElement.dataset.theme = isDark() ? "light" : "dark"; nameTheme(); });
nameTheme();
// A watcher is called in the order of its file, and all that draw read the state alone.
watchers.unshift(...watchers.splice(watchers.findIndex(([, update]) => update === drawAbout), 1));
open(0);
