/** Sets configurations side by side on a task, by one criterion, each the mean over its seeds. */
function taskSection(task) {
  const criteria = [...new Set(task.lines.map(({ criterion }) => criterion))], area = ({ figures }) => figures.at(-1)[0] ?? -1;
  const best = task.lines.reduce((found, line) => (area(line) > area(found) ? line : found)).criterion;
  const select = h("select", { "aria-label": `Criterion on ${task.task}` }, criteria.map((name) => h("option", { selected: name === best }, name)));
  const chart = h("div", { class: "chart" }), legend = h("p", { class: "legend" }), table = h("table");
  const shown = () => task.lines.filter(({ criterion }) => criterion === select.value);
  const redraw = draws(chart, (width) => chart.replaceChildren(comparison(task, shown(), width)));
  const update = () => {
    redraw();
    legend.replaceChildren(...shown().map((line, number) => h("span", { class: "quiet" }, swatch(number), ` ${line.name} (${many(line.runs, "seed")})`)));
    table.replaceChildren(figuresHead(task), h("tbody", {}, shown().map((line) => h("tr", {}, h("th", { scope: "row" }, line.name), h("td", {}, String(line.runs)),
      line.figures.map(([mean, deviation]) => h("td", {}, mean === null ? "–" : percent(mean) + (deviation === null ? "" : ` ± ${percent(deviation)}`)))))));
  };
  select.addEventListener("change", update);
  const section = h("div", {}, h("h3", {}, `${task.task}, ${task.split}`), h("div", { class: "tools" }, h("label", {}, "Criterion ", select)), chart, legend, h("div", { class: "scroll" }, table));
  return { section, update };
}

const figuresHead = (task) => h("thead", {}, h("tr", {}, ["run", "seeds", ...task.heads.map((name) => (name === "area" ? "area" : `${metricName(task.metric)} at ${name.replace("x", "×")}`))].map((name) => h("th", { scope: "col" }, name))));

const swatch = (number) => s("svg", { width: 26, height: 8, viewBox: "0 0 26 8", "aria-hidden": "true" },
  s("line", { x1: 0, x2: 26, y1: 4, y2: 4, stroke: colorOf(number), "stroke-width": 3, "stroke-dasharray": dashOf(number) }));

function comparison(task, lines, width) {
  const drawn = lines.map((line) => ({ ...line, mean: unpack(line.mean), deviation: unpack(line.deviation) }));
  const ends = drawn.flatMap(({ mean, deviation }) => Array.from(mean, (score, at) => [score - (deviation?.[at] ?? 0), score + (deviation?.[at] ?? 0)]).flat()).filter(Number.isFinite);
  const room = 0.04 * (Math.max(...ends) - Math.min(...ends)) || 0.01, y = [Math.min(...ends) - room, Math.max(...ends) + room];
  const chart = axes({
    width, height: Math.max(260, Math.min(400, width * 0.42)), y, x: [-1, -1 / task.depth + 0.012],
    xTicks: speedupTicks(task.depth, width - 60), yTicks: ticksBetween(100 * y[0], 100 * y[1], 6).map((tick) => [tick / 100, String(tick)]),
    xTitle: "speed-up: all layers / mean layers that run", yTitle: `${metricName(task.metric)} (%)`, label: `${task.task}: ${metricName(task.metric)} against speed-up, ${lines.map(({ name }) => name).join("; ")}`,
  });
  const count = drawn[0].mean.length, layersAt = (at) => task.depth + ((1 - task.depth) * at) / (count - 1);
  drawn.forEach(({ mean, deviation }, number) => {
    const places = Array.from(mean, (score, at) => [at, score]).filter(([, score]) => Number.isFinite(score));
    const edge = (sign) => places.map(([at, score]) => [chart.across(-layersAt(at) / task.depth), chart.up(score + sign * (deviation?.[at] ?? 0))]);
    if (deviation) chart.inside.append(s("path", { d: `${path([...edge(-1), ...edge(1).reverse()])}Z`, fill: colorOf(number), opacity: 0.13 }));
    chart.inside.append(s("path", { d: path(edge(0)), fill: "none", stroke: colorOf(number), "stroke-width": 2.2, "stroke-dasharray": dashOf(number) }));
  });
  return chart.drawing;
}

if (content.compared.length) {
  byId("compared").hidden = false;
  const sections = content.compared.filter(({ lines }) => lines.length).map(taskSection);
  byId("compared-body").replaceChildren(...sections.map(({ section }) => section));
  for (const { update } of sections) update();
}
