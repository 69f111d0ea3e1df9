const PAGE = 20;
const filters = { what: "all", label: "", exit: "", least: "", most: "", words: "" };
let page = 0;

/** What to look for: a name, and whether a row is such, by what is said at the point, in full, and by every exit. */
const KINDS = {
  all: ["all rows", () => true],
  wrong: ["wrong at this point", ({ now }) => !now],
  lost: ["wrong at this point, right in full", ({ now, full }) => !now && full],
  won: ["right at this point, wrong in full", ({ now, full }) => now && !full],
  over: ["overthinking: an exit is right, the last one wrong", ({ full, anyBefore }) => anyBefore && !full],
  late: ["late correction: the first exit is wrong, the last one right", ({ first, full }) => !first && full],
  never: ["wrong at every exit", ({ full, anyBefore }) => !full && !anyBefore],
};

function judged(run, row) {
  const { label } = outcome(), right = (exit) => alone(run, exit, row) === run.truth[row];
  let anyBefore = false;
  for (let exit = 0; exit < run.exits - 1 && !anyBefore; exit++) anyBefore = right(exit);
  return { now: label[row] === run.truth[row], full: right(run.exits - 1), first: right(0), anyBefore };
}

const lengthOf = (run, place) => (run.flops ? run.flops.lengths[run.rows.at[place]] : run.rows.texts ? run.rows.texts[place].join(" ").split(/\s+/).length : null);

/** The positions, within the rows that can be looked at, of those that the filters let through. */
function found(run) {
  const { exit } = outcome(), kept = [], words = filters.words.toLowerCase();
  for (let place = 0; place < run.rows.at.length; place++) {
    const row = run.rows.at[place], length = lengthOf(run, place);
    if (run.judged && !KINDS[filters.what][1](judged(run, row))) continue;
    if (filters.label !== "" && !labelsIn(run, run.truth[row]).includes(Number(filters.label))) continue;
    if (filters.exit !== "" && exit[row] !== Number(filters.exit)) continue;
    if (filters.least !== "" && length < Number(filters.least)) continue;
    if (filters.most !== "" && length > Number(filters.most)) continue;
    if (words && !(run.rows.texts && run.rows.texts[place].some((text) => text.toLowerCase().includes(words)))) continue;
    kept.push(place);
  }
  return kept;
}

function drawRows() {
  const run = currentRun(), { exit, label } = outcome(), kept = found(run), pages = Math.max(1, Math.ceil(kept.length / PAGE));
  page = Math.max(0, Math.min(page, pages - 1));
  const sampled = run.rows.at.length < run.samples ? ` of ${run.rows.at.length.toLocaleString("en")} drawn at random` : "";
  byId("rows-count").textContent = `${many(kept.length, "row")}${sampled}` + (pages > 1 ? `, page ${page + 1} of ${pages}` : "");
  const focused = document.activeElement, hadFocus = byId("rows").contains(focused) ? focused.getAttribute("aria-label")?.replace("Row ", "") : null;
  const heads = ["row", "text", "true", "predicted", "leaves at", "full model"];
  const verdict = (said, row) => h("td", { class: `left ${!run.judged ? "" : said === run.truth[row] ? "right" : "wrong"}` }, nameOf(run, said));
  byId("rows").replaceChildren(
    h("thead", {}, h("tr", {}, heads.map((name) => h("th", { scope: "col", class: name === "leaves at" ? "" : "left" }, name)))),
    h("tbody", {}, kept.slice(page * PAGE, (page + 1) * PAGE).flatMap((place) => {
      const row = run.rows.at[place], isOpen = state.row === place, toggle = () => change({ row: isOpen ? null : place });
      return [h("tr", { class: `choice${isOpen ? " picked" : ""}`, onclick: toggle },
        h("td", {}, h("button", { type: "button", class: "open", "aria-expanded": String(isOpen), "aria-label": `Row ${run.rows.ids[place]}` }, String(run.rows.ids[place]))),
        h("td", { class: "text" }, h("span", { class: "clip" }, run.rows.texts ? run.rows.texts[place].join(" / ") : "–")),
        h("td", { class: "left" }, nameOf(run, run.truth[row])), verdict(label[row], row),
        h("td", {}, `exit ${exit[row] + 1}`), verdict(alone(run, run.exits - 1, row), row)),
      isOpen ? h("tr", { class: "detail" }, h("td", { colspan: heads.length }, rowDetail(run, place))) : null];
    })));
  if (hadFocus !== null) byId("rows").querySelector(`button[aria-label="Row ${hadFocus}"]`)?.focus();
  const turn = (to, name) => h("button", { type: "button", disabled: to < 0 || to >= pages, onclick: () => { page = to; drawRows(); } }, name);
  byId("pages").replaceChildren(...(pages > 1 ? [turn(page - 1, "Previous"), turn(page + 1, "Next")] : []));
}

/** All that is known of a row: its text, what every exit says, where it leaves and why. */
function rowDetail(run, place) {
  const row = run.rows.at[place], { exit, label } = outcome(), criterion = currentCriterion(), leaves = exit[row];
  const threshold = criterion.thresholds[state.point], n = run.rows.at.length;
  const score = (at) => run.rows.scores[state.criterion][at * n + place];
  const isReached = criterion.leavesFrom[leaves * run.samples + row] <= state.point;
  const why = isReached ? `its score there, ${short(score(leaves))}, reaches the threshold ${short(threshold)}` : `no score reaches the threshold ${short(threshold)}`;
  const isRight = !run.judged ? "" : label[row] === run.truth[row] ? " That is right." : ` That is wrong: it is ${nameOf(run, run.truth[row])}.`;
  return h("div", { id: "row", style: `width:${byId("rows").parentElement.clientWidth}px` },
    ...(run.rows.texts ? run.rows.texts[place].map((text) => h("blockquote", {}, text)) : []),
    h("p", {}, `It leaves at exit ${leaves + 1} of ${run.exits} as ${nameOf(run, label[row])}: ${why}.${isRight}` + (run.kind === "values" ? ` The true value is ${nameOf(run, run.truth[row])}.` : "")),
    h("div", { class: "multiples" }, run.layers.map((_, at) => exitBox(run, criterion, { at, place, row, leaves, isReached, score: score(at) }))),
    h("div", { class: "chart", style: "max-width:44rem" }, scoreChart(run, run.layers.map((_, at) => score(at)), threshold, leaves)));
}

function exitBox(run, criterion, { at, place, row, leaves, isReached, score }) {
  const says = alone(run, at, row), n = run.rows.at.length, { shown } = run.rows;
  const fate = at < leaves ? "stays" : at > leaves ? "not run" : isReached ? "leaves" : "last exit";
  const bars = Array.from({ length: shown }, (_, k) => {
    const which = run.rows.classes[place * shown + k], share = run.rows.probabilities[(at * n + place) * shown + k] / 10000;
    const isSaid = labelsIn(run, says).includes(which), isTrue = labelsIn(run, run.truth[row]).includes(which);
    return h("div", { class: "probability" }, h("span", { class: "name", title: run.labelNames[which] }, `${isTrue ? "✓ " : ""}${run.labelNames[which]}`),
      h("span", { class: "number" }, share.toFixed(3)), h("span", { class: "bar" }, h("i", { class: isSaid ? "said" : "", style: `width:${(100 * share).toFixed(1)}%` })));
  });
  return h("div", { class: `exit${at === leaves ? " leaves" : at > leaves ? " unrun" : ""}` },
    h("h4", {}, h("span", {}, `exit ${at + 1}`), h("span", { class: "quiet" }, fate)),
    bars.length ? bars : `says ${nameOf(run, says)}`, h("div", { class: "quiet" }, `score ${short(score)}`));
}

/** The score of a row at every exit, beside the threshold. */
function scoreChart(run, scores, threshold, leaves) {
  const known = [...scores, ...(threshold === null ? [] : [threshold])].filter((each) => Number.isFinite(each));
  if (!known.length) return null;
  const low = Math.min(...known), high = Math.max(...known), room = 0.12 * (high - low || 1), y = [low - room, high + room];
  const chart = axes({
    width: Math.min(640, byId("rows").parentElement.clientWidth - 26), height: 190, x: [0.5, run.exits + 0.5], y, xTicks: run.layers.map((_, at) => [at + 1, String(at + 1)]), yTicks: ticksBetween(...y, 4).map((tick) => [tick, short(tick)]),
    xTitle: "exit", yTitle: "score", label: `Score at every exit: ${scores.map(short).join(", ")}; threshold ${short(threshold)}`,
  });
  const points = scores.map((score, at) => [chart.across(at + 1), chart.up(Math.max(y[0], score))]);
  if (threshold !== null) {
    chart.inside.append(s("line", { x1: chart.edges.left, x2: chart.edges.right, y1: chart.up(threshold), y2: chart.up(threshold), stroke: "var(--wrong)", "stroke-dasharray": "6 4" }),
      s("text", { class: "halo", x: chart.edges.right - 4, y: chart.up(threshold) - 5, "text-anchor": "end" }, `threshold ${short(threshold)}`));
  }
  chart.inside.append(s("path", { d: path(points), fill: "none", stroke: "var(--accent)", "stroke-width": 2 }),
    ...points.map(([x, yAt], at) => s("circle", { cx: x, cy: yAt, r: at === leaves ? 6 : 4, fill: at <= leaves ? "var(--accent)" : "var(--card)", stroke: "var(--accent)", "stroke-width": 2 })));
  return chart.drawing;
}

function drawFilters() {
  const run = currentRun(), set = (key) => (event) => { filters[key] = event.target.value; page = 0; drawRows(); };
  const select = (key, name, options) => h("label", {}, `${name} `, h("select", { id: `filter-${key}`, onchange: set(key) }, options.map(([value, shown]) => h("option", { value, selected: filters[key] === value }, shown))));
  const number = (key, name) => h("label", {}, `${name} `, h("input", { id: `filter-${key}`, type: "number", min: 0, style: "width:5.5rem", value: filters[key], oninput: set(key) }));
  filters.label = Number(filters.label) < run.labelNames.length ? filters.label : "";
  filters.exit = Number(filters.exit) < run.exits ? filters.exit : "";
  byId("filters").replaceChildren(...[
    run.judged ? select("what", "Show", Object.entries(KINDS).map(([key, [name]]) => [key, name])) : null,
    run.judged ? select("label", "True label", [["", "any"], ...run.labelNames.map((name, place) => [String(place), name])]) : null,
    select("exit", "Leaves at", [["", "any exit"], ...run.layers.map((_, at) => [String(at), `exit ${at + 1}`])]),
    number("least", `${run.flops ? "Tokens" : "Words"} from`), number("most", "to"),
    run.rows.texts ? h("label", {}, "Text has ", h("input", { id: "filter-words", type: "search", value: filters.words, oninput: set("words") })) : null,
  ].filter(Boolean));
  const holds = run.rows.texts ? "This page holds texts of the data: share it as you would share these." : "This page holds no texts.";
  const drawn = run.rows.at.length < run.samples ? ` ${run.rows.at.length.toLocaleString("en")} of ${run.samples.toLocaleString("en")} rows were drawn at random to be looked at; all other figures are of all rows.` : "";
  const cut = run.rows.texts ? ` Texts are cut to ${run.rows.longest} characters.` : "";
  byId("rows-about").textContent = `${holds}${drawn}${cut}`;
}

watch(["run"], () => { page = 0; drawFilters(); });
watch(["run", "criterion", "point", "row"], drawRows);
