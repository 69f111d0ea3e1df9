const MEASURES = {
  disagreement: ["Disagreement", "share of rows on which two exits differ"],
  q_statistic: ["Q statistic", "1: right on the same rows; 0: independent; below: on others"],
  double_fault: ["Double fault", "share of rows that both have wrong"],
};

function drawExits() {
  const run = currentRun(), criterion = currentCriterion(), { calibration, leaving, metric } = { ...run, metric: state.metric };
  const aurocs = leaving[criterion.name];
  const heads = ["exit", "layer", `${metricName(metric)} (%)`, ...(calibration ? ["sure (%)", "ECE", "confidence against accuracy"] : []), ...(aurocs ? [`EEFP AUROC, ${criterion.name}`] : [])];
  byId("exits").replaceChildren(
    h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, run.layers.map((layer, at) => h("tr", {}, h("th", { scope: "row" }, String(at + 1)), h("td", {}, String(layer)), h("td", {}, percent(run.exitScores[metric][at])),
      calibration ? [h("td", {}, percent(calibration[at].confidence)), h("td", {}, calibration[at].error.toFixed(3)), h("td", {}, reliabilityOf(calibration[at], at))] : null,
      aurocs ? h("td", {}, aurocs[at] === null ? "–" : aurocs[at].toFixed(3)) : null))));
  const shares = run.overthinking === null ? "" : ` Overthinking: ${percent(run.overthinking)} % of the rows are right at an earlier exit and wrong at the last. Late corrections: ${percent(run.lateCorrection)} % are wrong at the first exit and right at the last.`;
  byId("exits-about").textContent = `Each exit alone, over all rows.${calibration ? " Sure: its mean confidence. ECE: how far confidence is from accuracy on average, 0 at best." : ""}${aurocs ? " EEFP AUROC: how well the criterion's score tells the rows that no later exit would improve; 0.5 is chance." : ""}${shares}`;
}

/** A small diagram: on the diagonal confidence is accuracy; larger dots have more rows. */
function reliabilityOf({ bins }, at) {
  const size = 54, up = (share) => size - 3 - share * (size - 6), most = Math.max(...bins.map(([count]) => count));
  const words = bins.map(([count, confidence, share]) => `${percent(confidence, 0)} % sure: ${percent(share, 0)} % right, ${count}`).join("\n");
  return s("svg", { width: size, height: size, viewBox: `0 0 ${size} ${size}`, role: "img", "aria-label": `Exit ${at + 1}: ${words.replaceAll("\n", "; ")}`, style: "width:54px", ...tipped(`${words} rows`) },
    s("rect", { x: 3, y: 3, width: size - 6, height: size - 6, fill: "none", stroke: "var(--line)" }),
    s("line", { x1: 3, y1: size - 3, x2: size - 3, y2: 3, stroke: "var(--neutral)", "stroke-dasharray": "3 3" }),
    s("path", { d: path(bins.map(([, confidence, share]) => [size - up(confidence), up(share)])), fill: "none", stroke: "var(--accent)" }),
    bins.map(([count, confidence, share]) => s("circle", { cx: size - up(confidence), cy: up(share), r: 1.6 + 3 * Math.sqrt(count / most), fill: "var(--accent)", opacity: 0.8 })));
}

function drawDiversity() {
  const run = currentRun(), { diversity } = run;
  byId("diversity-section").hidden = diversity === null || run.exits < 2;
  if (diversity === null || run.exits < 2) return;
  const box = byId("diversity"), names = run.layers.map((_, at) => String(at + 1));
  const columns = Math.max(1, Math.min(3, Math.floor((box.clientWidth + 22) / 326))), width = (box.clientWidth - 22 * (columns - 1)) / columns;
  byId("diversity-about").textContent = "Exits that make different errors can help each other; exits that say the same can't.";
  box.replaceChildren(...Object.entries(MEASURES).map(([key, [name, meaning]]) => {
    const shown = diversity[key], values = shown.flatMap((line, row) => line.filter((each, column) => column !== row && each !== null));
    const low = Math.min(...values), high = Math.max(...values);
    const cells = shown.map((line, row) => line.map((each, column) => ({
      share: row === column || each === null ? null : high > low ? (each - low) / (high - low) : 0.5,
      text: row === column || each === null ? "" : each.toFixed(2).replace(/^(-?)0\./, "$1."),
      tip: row === column ? `exit ${row + 1}` : `exits ${row + 1} and ${column + 1}: ${each === null ? "not defined" : each.toFixed(3)}`,
    })));
    return h("figure", { style: "margin:0" }, h("figcaption", {}, h("b", {}, name), h("span", { class: "quiet" }, ` ${meaning}`)),
      matrix({ cells, rowNames: names, columnNames: names, rowTitle: "exit", columnTitle: "exit", width: Math.max(200, width), label: `${name}: ${meaning}` }));
  }));
}

draws(byId("diversity"), drawDiversity);
watch(["run", "criterion", "metric"], drawExits);
watch(["run"], drawDiversity);
