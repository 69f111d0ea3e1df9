const hidden = new Set();

/** The lines of the run, each of criteria whose curves are all but the same: {criteria: positions, number, name}. */
function lines(run) {
  run.lines ??= run.alike.map((criteria, number) => ({ criteria, number, name: criteria.map((place) => run.criteria[place].name).join(" ≈ ") }));
  return run.lines;
}

const MOST_LINES = 6;

/** Of many lines hides all but those that are best at twice the speed, and the best known ones. */
function hideSome() {
  const run = currentRun();
  hidden.clear();
  if (lines(run).length <= MOST_LINES) return;
  const scoreOf = ({ criteria: [place] }) => {
    const criterion = run.criteria[place], point = pointNear(run, criterion, 2);
    return speedupAt(run, criterion, point) < 1.7 ? -Infinity : criterion.scores[run.metrics[0]][point];
  };
  const usual = (line) => line.criteria.some((place) => ["voting", "confidence"].includes(run.criteria[place].name));
  const rank = [...lines(run)].sort((one, other) => usual(other) - usual(one) || scoreOf(other) - scoreOf(one));
  for (const line of rank.slice(MOST_LINES - 1)) hidden.add(line.name);
}

const lineOf = (run, place) => lines(run).find(({ criteria }) => criteria.includes(place));
const shownLines = (run) => lines(run).filter((line) => !hidden.has(line.name) || line.criteria.includes(state.criterion));

function scoreRange(run, shown, full) {
  const ends = shown.flatMap(({ criteria: [place] }) => {
    const { scores, bands } = run.criteria[place];
    return [...scores[state.metric], ...(bands[state.metric]?.flatMap((end) => [...end]) ?? [])];
  });
  let low = Math.min(...[...ends, full].filter(Number.isFinite)), high = Math.max(...[...ends, full].filter(Number.isFinite));
  if (state.zoomed) low = Math.max(low, full - 0.06);
  const room = Math.max(0.005, 0.04 * (high - low));
  return [low - room, high + room];
}

function drawCurves(width) {
  const run = currentRun(), shown = shownLines(run), alones = run.exitScores[state.metric], full = alones.at(-1);
  const height = Math.max(280, Math.min(460, width * 0.5));
  const y = scoreRange(run, shown, full);
  const chart = axes({
    width, height, y, x: [-1, -1 / run.depth + 0.012],
    xTicks: speedupTicks(run.depth, width - 60), yTicks: ticksBetween(100 * y[0], 100 * y[1], 6).map((tick) => [tick / 100, String(tick)]),
    xTitle: "speed-up: all layers / mean layers that run", yTitle: `${metricName(state.metric)} (%)`,
    label: `${metricName(state.metric)} against speed-up, ${many(shown.length, "line")}`,
  });
  const at = (criterion, point) => [chart.across(-criterion.layers[point] / run.depth), chart.up(criterion.scores[state.metric][point])];
  const everyPoint = (criterion) => Array.from(criterion.layers, (_, point) => at(criterion, point));
  const bands = shown.map(({ criteria, number }) => {
    const isCurrent = criteria.includes(state.criterion), criterion = run.criteria[isCurrent ? state.criterion : criteria[0]], ends = criterion.bands[state.metric];
    if (!ends) return null;
    const edge = (end) => Array.from(end, (score, point) => [at(criterion, point)[0], chart.up(score)]);
    return s("path", { d: `${path([...edge(ends[0]), ...edge(ends[1]).reverse()])}Z`, fill: colorOf(number), opacity: isCurrent ? 0.2 : 0.06 });
  });
  chart.inside.append(
    s("line", { x1: chart.edges.left, x2: chart.edges.right, y1: chart.up(full), y2: chart.up(full), stroke: "var(--neutral)", "stroke-dasharray": "2 3" }),
    s("text", { class: "halo", x: chart.edges.left + 6, y: chart.up(full) - 6 }, `full model ${percent(full)}`),
    ...bands.filter(Boolean),
    ...shown.map((line) => s("path", {
      d: path(everyPoint(run.criteria[line.criteria[0]])), fill: "none", stroke: colorOf(line.number), "stroke-dasharray": dashOf(line.number),
      "stroke-width": line.criteria.includes(state.criterion) ? 2.8 : 1.7, "stroke-linejoin": "round",
    })),
  );
  if (run.chosen && state.metric === run.metrics[0]) chart.inside.append(...chosenMark(run, at));
  const current = currentCriterion(), [x, yAt] = at(current, state.point);
  chart.inside.append(
    s("line", { x1: x, x2: x, y1: yAt, y2: chart.edges.bottom, stroke: colorOf(lineOf(run, state.criterion).number), "stroke-dasharray": "3 3" }),
    s("circle", { cx: x, cy: yAt, r: 7, fill: "var(--card)", stroke: colorOf(lineOf(run, state.criterion).number), "stroke-width": 3 }),
  );
  const overlay = s("rect", { x: chart.edges.left, y: chart.edges.top, width: chart.edges.right - chart.edges.left, height: chart.edges.bottom - chart.edges.top, fill: "transparent", style: "cursor:crosshair" });
  const nearest = (event) => nearestPoint(run, shown, at, chart.drawing, width, event);
  const dot = s("circle", { r: 4.5, fill: "none", "pointer-events": "none" });
  overlay.addEventListener("pointermove", (event) => {
    const found = nearest(event);
    dot.setAttribute("cx", found.x); dot.setAttribute("cy", found.y); dot.setAttribute("fill", colorOf(found.line.number));
    showTip(event, describePoint(run, found));
  });
  overlay.addEventListener("pointerleave", () => { hideTip(); dot.setAttribute("fill", "none"); });
  overlay.addEventListener("click", (event) => { const { place, point } = nearest(event); change({ criterion: place, point }); });
  const dots = alones.map((score, exit) => [run.layers[exit], score, exit]).filter(([, score]) => score >= y[0] && score <= y[1]);
  chart.drawing.append(dot, overlay, ...dots.map(([layer, score, exit]) => s("circle", {
    cx: chart.across(-layer / run.depth), cy: chart.up(score), r: 3.5, fill: "var(--neutral)",
    ...tipped(`exit ${exit + 1} alone, after layer ${layer}\n${percent(score)} at ${times(run.depth / layer)}`),
  })));
  byId("curves").replaceChildren(chart.drawing);
}

function chosenMark(run, at) {
  const place = run.criteria.findIndex(({ name }) => name === run.chosen.criterion), criterion = run.criteria[place];
  const [x, y] = at(criterion, pointOf(criterion, run.chosen.threshold));
  return [s("path", { d: `M${x} ${y - 7}L${x + 7} ${y}L${x} ${y + 7}L${x - 7} ${y}Z`, fill: colorOf(lineOf(run, place).number), stroke: "var(--card)", "stroke-width": 1.5 }),
    s("text", { class: "halo strong", x: x + 10, y: y - 8 }, "chosen")];
}

function nearestPoint(run, shown, at, drawing, width, event) {
  const box = drawing.getBoundingClientRect(), scale = width / box.width;
  const mouse = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  let best = { distance: Infinity };
  for (const line of shown) {
    const place = line.criteria.includes(state.criterion) ? state.criterion : line.criteria[0], criterion = run.criteria[place];
    for (let point = 0; point < criterion.layers.length; point++) {
      const [x, y] = at(criterion, point), distance = Math.hypot(x - mouse[0], (y - mouse[1]) * 0.6);
      if (distance < best.distance) best = { distance, line, place, point, x, y };
    }
  }
  return best;
}

function describePoint(run, { line, place, point }) {
  const criterion = run.criteria[place], ends = criterion.bands[state.metric];
  const interval = ends ? ` (${percent(ends[0][point])} to ${percent(ends[1][point])})` : "";
  return `${line.name}\n${metricName(state.metric)} ${percent(criterion.scores[state.metric][point])}${interval}\n`
    + `${times(speedupAt(run, criterion, point))}, threshold ${short(criterion.thresholds[point])}`;
}

function drawLegend() {
  const run = currentRun();
  byId("legend").replaceChildren(...lines(run).map((line) => h("button", {
    type: "button", "aria-pressed": String(!hidden.has(line.name) || line.criteria.includes(state.criterion)),
    onclick: () => { if (!hidden.delete(line.name)) hidden.add(line.name); drawLegend(); redrawCurves(); },
  }, s("svg", { width: 26, height: 8, viewBox: "0 0 26 8", "aria-hidden": "true" },
    s("line", { x1: 0, x2: 26, y1: 4, y2: 4, stroke: colorOf(line.number), "stroke-width": 3, "stroke-dasharray": dashOf(line.number) })), line.name)));
  const { oracle } = run;
  byId("oracle").textContent = oracle === null ? ""
    : `Grey dots: each exit alone. An oracle, which leaves at the first exit that is right, would reach ${percent(oracle[state.metric])} at ${times(oracle.speedup)}; no criterion can do better.`;
}

const redrawCurves = draws(byId("curves"), drawCurves);
watch(["run"], hideSome);
watch(["run", "criterion", "metric"], drawLegend);
watch(["run", "criterion", "point", "metric", "zoomed"], redrawCurves);
