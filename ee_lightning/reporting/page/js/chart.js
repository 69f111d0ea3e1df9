/** Draws into a box anew whenever its width changes, so that letters keep their size. */
function draws(box, draw) {
  const redraw = () => { if (box.clientWidth) draw(box.clientWidth); };
  new ResizeObserver(redraw).observe(box);
  return redraw;
}

/** Round numbers between two others, about as many as asked for. */
function ticksBetween(low, high, about) {
  const rough = (high - low) / about || 1, unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * [1, 2, 5, 10].find((factor) => factor * unit >= rough);
  const found = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step / 1e6; tick += step) found.push(Number(tick.toFixed(10)));
  return found;
}

/** Axes: returns the drawing, the group to draw in, and the scales of both directions. */
function axes({ width, height, x, y, xTicks, yTicks, xTitle, yTitle, left = 46, bottom = 40, label }) {
  const top = 8, right = 14;
  const across = (value) => left + ((value - x[0]) / (x[1] - x[0])) * (width - left - right);
  const up = (value) => height - bottom - ((value - y[0]) / (y[1] - y[0])) * (height - bottom - top);
  const clip = `clip-${Math.random().toString(36).slice(2)}`;
  const inside = s("g", { "clip-path": `url(#${clip})` });
  const drawing = s("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    s("clipPath", { id: clip }, s("rect", { x: left, y: top - 4, width: width - left - right + 6, height: height - bottom - top + 8 })),
    yTicks.map(([value, name]) => [
      s("line", { class: "grid", x1: left, x2: width - right, y1: up(value), y2: up(value) }),
      s("text", { x: left - 7, y: up(value) + 4, "text-anchor": "end" }, name)]),
    xTicks.map(([value, name]) => [
      s("line", { class: "axis", x1: across(value), x2: across(value), y1: height - bottom, y2: height - bottom + 4 }),
      s("text", { x: across(value), y: height - bottom + 17, "text-anchor": "middle" }, name)]),
    s("line", { class: "axis", x1: left, x2: width - right, y1: height - bottom, y2: height - bottom }),
    s("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, xTitle),
    yTitle ? s("text", { transform: `translate(11 ${(height - bottom + top) / 2}) rotate(-90)`, "text-anchor": "middle" }, yTitle) : null,
    inside);
  return { drawing, inside, across, up, edges: { left, right: width - right, top, bottom: height - bottom } };
}

const path = (points) => points.map(([x, y], place) => `${place ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");

const SPEEDUPS = [1, 1.25, 1.5, 2, 3, 4, 6, 12, 24];

/** Ticks of speed-ups on an axis of relative cost, those that have room. */
function speedupTicks(depth, pixels) {
  const kept = [];
  for (const speedup of SPEEDUPS.filter((each) => each <= depth)) {
    const at = pixels * (1 - 1 / speedup);
    if (!kept.length || at - kept.at(-1).at >= 42) kept.push({ at, speedup });
  }
  return kept.map(({ speedup }) => [-1 / speedup, `${speedup}×`]);
}

const DASHES = ["", "7 4", "2 3"];
const colorOf = (number) => `var(--c${number % 8})`;
const dashOf = (number) => DASHES[Math.floor(number / 8) % DASHES.length];

/** The colour of a share from 0 to 1, and of letters on it. */
const heat = (share) => `rgba(var(--heat), ${(0.06 + 0.84 * share).toFixed(3)})`;
const inkOn = (share) => (share > 0.55 ? "var(--card)" : "var(--ink)");

/** Draws a square matrix: cells are [row][column] of {share, text, tip}. */
function matrix({ cells, rowNames, columnNames, rowTitle, columnTitle, label, width }) {
  const size = cells.length, named = size <= 30, left = named ? Math.min(120, 30 + 6.4 * Math.max(...rowNames.map((name) => name.length))) : 26;
  const side = Math.min(56, (width - left - 4) / size), top = 38, whole = side * size;
  const cut = (name, most) => (name.length > most ? `${name.slice(0, Math.max(1, most - 1))}…` : name);
  const room = Math.floor(side / 6.6);
  return s("svg", { viewBox: `0 0 ${width} ${top + whole + 6}`, role: "img", "aria-label": label },
    s("text", { x: left + whole / 2, y: 12, "text-anchor": "middle" }, columnTitle),
    s("text", { transform: `translate(11 ${top + whole / 2}) rotate(-90)`, "text-anchor": "middle" }, rowTitle),
    named ? columnNames.map((name, place) => s("text", { x: left + (place + 0.5) * side, y: top - 6, "text-anchor": "middle" }, cut(name, room))) : null,
    named ? rowNames.map((name, place) => s("text", { x: left - 6, y: top + (place + 0.5) * side + 4, "text-anchor": "end" }, cut(name, 15))) : null,
    cells.map((line, row) => line.map((cell, column) => s("g", tipped(cell.tip),
      s("rect", { x: left + column * side, y: top + row * side, width: side - (named ? 1.5 : 0), height: side - (named ? 1.5 : 0), rx: named ? 3 : 0, fill: cell.share === null ? "none" : heat(cell.share), stroke: cell.share === null ? "var(--line)" : null }),
      side >= 22 ? s("text", { x: left + (column + 0.5) * side - 0.7, y: top + (row + 0.5) * side + 4, "text-anchor": "middle", style: `fill:${inkOn(cell.share ?? 0)};font-size:${Math.min(12, side / 2.6).toFixed(1)}px` }, cell.text) : null))));
}
