/** What was measured on the clock nearest to the operating point, by its criterion and point; null where nothing was. */
function clockNear(run, criterion, point) {
  const measured = run.clock.filter((each) => each.criterion === criterion.name);
  if (!measured.length) return null;
  const here = speedupAt(run, criterion, point);
  const away = (each) => Math.abs(each.layers - here);
  const nearest = measured.reduce((best, each) => (away(each) < away(best) ? each : best));
  const same = measured.filter((each) => each.threshold === nearest.threshold);
  return { batches: same, speedup: nearest.layers };
}

function drawPoint() {
  const run = currentRun(), criterion = currentCriterion(), { point, metric } = state;
  const speedup = speedupAt(run, criterion, point), score = criterion.scores[metric][point], full = run.exitScores[metric].at(-1);
  const slider = byId("point");
  slider.max = criterion.layers.length - 1;
  slider.value = point;
  const said = `threshold ${short(criterion.thresholds[point])}: ${times(speedup)}, ${metricName(metric)} ${percent(score)} %`;
  slider.setAttribute("aria-valuetext", said);
  byId("readout").textContent = `${criterion.name} at ${said} (full model ${percent(full)} %)`;
  drawTiles(run, criterion, { speedup, score, full });
}

function drawTiles(run, criterion, { speedup, score, full }) {
  const found = outcome(), { right, early, same } = tally(run, found), ends = criterion.bands[state.metric];
  const flops = flopsSpeedup(run, found), clock = clockNear(run, criterion, state.point), name = metricName(state.metric);
  const tiles = [
    [name, `${percent(score)} %`, ends ? `95 % interval ${percent(ends[0][state.point])} to ${percent(ends[1][state.point])}` : ""],
    ["against the full model", `${signed(100 * (score - full))}`, `points; the full model has ${percent(full)} %`],
    ["speed-up by layers", times(speedup), `${criterion.layers[state.point].toFixed(2)} of ${run.depth} layers on average`],
    flops === null ? null : ["speed-up by FLOPs", times(flops), "with all heads that are passed, without padding"],
    clock === null ? ["speed-up on the clock", "not measured", `ee-lightning speed ${run.folder}`]
      : ["speed-up on the clock", clock.batches.map((each) => times(each.speedup)).join(" · "),
        `batches of ${clock.batches.map((each) => each.batch).join(", ")}, measured at ${times(clock.speedup)} by layers, ${clock.batches[0].conditions}`],
    ["leave early", `${percent(early / run.samples)} %`, `${many(early, "row")} of ${run.samples.toLocaleString("en")}`],
    run.judged ? ["wrong", many(run.samples - right, "row"), `the full model: ${many(wrongInFull(run), "row")}`] : null,
    run.judged ? ["same label as the full model", `${percent(same / run.samples)} %`, `${many(run.samples - same, "row")} differ`] : null,
  ];
  byId("tiles").replaceChildren(...tiles.filter(Boolean).map(([term, figure, aside]) =>
    h("div", {}, h("dt", {}, term), h("dd", {}, figure === "not measured" ? figure : h("b", {}, figure), h("span", {}, aside)))));
}

function wrongInFull(run) {
  if (run.wrongInFull === undefined) {
    run.wrongInFull = run.truth.reduce((wrong, label, row) => wrong + (alone(run, run.exits - 1, row) !== label), 0);
  }
  return run.wrongInFull;
}

/** A bar an exit: how many rows leave there, right ones below and wrong ones above. */
function drawLeaving(width) {
  const run = currentRun(), { exit, label } = outcome();
  const right = new Array(run.exits).fill(0), all = new Array(run.exits).fill(0);
  for (let row = 0; row < run.samples; row++) { all[exit[row]]++; right[exit[row]] += !run.judged || label[row] === run.truth[row]; }
  const most = Math.max(...all), bar = (width - 60) / run.exits, size = Math.min(0.72 * bar, 70);
  const chart = axes({
    width, height: 220, x: [0, run.exits], y: [0, 1.12 * most], yTicks: ticksBetween(0, most, 4).map((tick) => [tick, String(tick)]),
    xTicks: run.layers.map((layer, place) => [place + 0.5, bar > 26 || place % 2 === 0 ? String(place + 1) : ""]),
    xTitle: run.layers.every((layer, place) => layer === place + 1) ? "exit (one after every layer)" : `exit (after layers ${run.layers.join(", ")})`, yTitle: "rows",
    label: `Rows that leave at each exit: ${all.map((count, place) => `exit ${place + 1} ${count}`).join(", ")}`,
  });
  const parts = all.map((count, place) => {
    const x = chart.across(place + 0.5) - size / 2, words = `exit ${place + 1}: ${many(count, "row")} leave${count === 1 ? "s" : ""}`
      + (run.judged && count ? `\n${right[place]} right, ${count - right[place]} wrong (${percent(right[place] / count)} % right)` : "");
    const block = (from, to, fill) => s("rect", { x, width: size, y: chart.up(to), height: Math.max(0, chart.up(from) - chart.up(to)), fill });
    return s("g", tipped(words), block(0, right[place], run.judged ? "var(--right)" : "var(--accent)"), block(right[place], count, "var(--wrong)"),
      count && bar > 24 ? s("text", { x: x + size / 2, y: chart.up(count) - 5, "text-anchor": "middle" }, String(count)) : null);
  });
  chart.drawing.append(...parts);
  const key = !run.judged ? null : h("p", { class: "quiet" }, h("span", { class: "right" }, "■ "), "right  ", h("span", { class: "wrong" }, "■ "), "wrong");
  byId("leaving").replaceChildren(chart.drawing, ...(key ? [key] : []));
}

function drawSteps() {
  const run = currentRun(), criterion = currentCriterion(), fastest = speedupAt(run, criterion, criterion.layers.length - 1);
  const steps = [1.5, 2, 3].filter((speedup) => speedup <= fastest).map((speedup) => [`${speedup}×`, { point: pointNear(run, criterion, speedup) }]);
  if (run.chosen) {
    const place = run.criteria.findIndex(({ name }) => name === run.chosen.criterion);
    steps.push(["chosen", { criterion: place, point: pointOf(run.criteria[place], run.chosen.threshold) }]);
  }
  byId("steps").replaceChildren(...steps.map(([name, changes]) => h("button", { type: "button", onclick: () => change(changes) }, name)));
}

const redrawLeaving = draws(byId("leaving"), drawLeaving);
watch(["run", "criterion", "point", "metric"], drawPoint);
watch(["run", "criterion", "point"], redrawLeaving);
watch(["run", "criterion"], drawSteps);

byId("point").addEventListener("input", (event) => change({ point: Number(event.target.value) }));
byId("criterion").addEventListener("change", (event) => {
  const run = currentRun(), here = speedupAt(run, currentCriterion(), state.point), place = Number(event.target.value);
  change({ criterion: place, point: pointNear(run, run.criteria[place], here) });
});
