let sortedBy = { column: null, falling: false };

function drawClasses() {
  const run = currentRun();
  byId("classes-section").hidden = !run.judged;
  if (!run.judged) return;
  const { exit, label } = outcome(), last = run.exits - 1;
  const now = byClass(run, (row) => label[row], (row) => exit[row]);
  if (!run.fullByClass) run.fullByClass = byClass(run, (row) => alone(run, last, row), () => last);
  const lines = now.map((each, place) => ({ name: run.labelNames[place], ...each, lost: 100 * (each.f1 - run.fullByClass[place].f1) }));
  const columns = [
    [run.kind === "labels" ? "label" : "class", (line) => line.name, (line) => line.name],
    ["rows", (line) => line.true, (line) => line.true], ["precision", (line) => line.precision, (line) => percent(line.precision)],
    ["recall", (line) => line.recall, (line) => percent(line.recall)], ["F1", (line) => line.f1, (line) => percent(line.f1)],
    ["F1, against full", (line) => line.lost, (line) => (Number.isNaN(line.lost) ? "–" : h("span", { class: line.lost < -0.5 ? "wrong" : line.lost > 0.5 ? "right" : "" }, signed(line.lost)))],
    ["mean layers", (line) => line.meanLayers, (line) => (Number.isNaN(line.meanLayers) ? "–" : line.meanLayers.toFixed(2))],
  ];
  if (sortedBy.column !== null) {
    const value = columns[sortedBy.column][1], sign = sortedBy.falling ? -1 : 1;
    lines.sort((one, other) => sign * (typeof value(one) === "string" ? value(one).localeCompare(value(other)) : value(one) - value(other)));
  }
  const heads = columns.map(([name], column) => h("th", { scope: "col", "aria-sort": sortedBy.column === column ? (sortedBy.falling ? "descending" : "ascending") : null },
    h("button", { type: "button", class: "open", onclick: () => { sortedBy = { column, falling: sortedBy.column === column && !sortedBy.falling }; drawClasses(); } }, name)));
  byId("classes").replaceChildren(
    h("thead", {}, h("tr", {}, heads)),
    h("tbody", {}, lines.map((line) => h("tr", {}, columns.map(([, , shown], column) => h(column ? "td" : "th", { scope: column ? null : "row" }, shown(line)))))));
  const worst = lines.filter((line) => line.lost < -0.5).sort((one, other) => one.lost - other.lost)[0];
  byId("classes-about").textContent = worst
    ? `At this point ${worst.name} suffers most: F1 ${signed(worst.lost)} points against the full model.`
    : "At this point no class loses more than half a point of F1 against the full model.";
  drawConfusion();
}

/** Which rows and predictions the confusion matrix is of: {name, counts(row), said(row)}. */
function confusionChoices(run) {
  const found = [{ name: "all rows, at this point", counts: () => true, said: (row) => outcome().label[row] }];
  for (let exit = 0; exit < run.exits; exit++) {
    found.push({ name: `rows that leave at exit ${exit + 1}`, counts: (row) => outcome().exit[row] === exit, said: (row) => outcome().label[row] });
  }
  for (let exit = 0; exit < run.exits; exit++) {
    found.push({ name: `all rows, exit ${exit + 1} alone`, counts: () => true, said: (row) => alone(run, exit, row) });
  }
  return found;
}

function drawConfusion() {
  const run = currentRun(), box = byId("confusion"), width = box.clientWidth;
  byId("confusion-box").hidden = run.kind !== "classes";
  if (run.kind !== "classes" || !width) return;
  const { counts, said, name } = confusionChoices(run)[byId("confusion-of").selectedIndex], size = run.labelNames.length;
  const table = Array.from({ length: size }, () => new Array(size).fill(0));
  for (let row = 0; row < run.samples; row++) if (counts(row)) table[run.truth[row]][said(row)]++;
  const cells = table.map((line, truth) => {
    const total = line.reduce((sum, count) => sum + count, 0);
    return line.map((count, predicted) => ({
      share: total ? count / total : 0, text: String(count),
      tip: `${run.labelNames[truth]} predicted as ${run.labelNames[predicted]}: ${many(count, "row")}` + (total ? `, ${percent(count / total)} % of this class` : ""),
    }));
  });
  const pairs = table.flatMap((line, truth) => line.map((count, predicted) => ({ truth, predicted, count }))).filter((each) => each.truth !== each.predicted && each.count)
    .sort((one, other) => other.count - one.count).slice(0, 5);
  const worst = pairs.map(({ truth, predicted, count }) => `${run.labelNames[truth]} as ${run.labelNames[predicted]} (${count})`).join(", ");
  box.replaceChildren(
    matrix({ cells, rowNames: run.labelNames, columnNames: run.labelNames, rowTitle: "true", columnTitle: "predicted", width, label: `Confusion matrix, ${name}; most often: ${worst || "no row is wrong"}` }),
    h("p", { class: "quiet" }, worst ? `Most often: ${worst}.` : "No row is wrong."));
}

draws(byId("confusion"), drawConfusion);
watch(["run"], () => {
  const select = byId("confusion-of"), kept = select.selectedIndex;
  select.replaceChildren(...confusionChoices(currentRun()).map(({ name }) => h("option", {}, name)));
  select.selectedIndex = Math.max(0, Math.min(kept, select.options.length - 1));
});
watch(["run", "criterion", "point"], drawClasses);
byId("confusion-of").addEventListener("change", drawConfusion);
