const content = JSON.parse(byId("data").textContent);
const unpackedRuns = new Map();

/** The data of the run that is shown, with its arrays unpacked once. */
function currentRun() {
  const raw = content.runs[state.run];
  if (!unpackedRuns.has(raw)) unpackedRuns.set(raw, unpackRun(raw));
  return unpackedRuns.get(raw);
}

function unpackRun(raw) {
  const criteria = raw.criteria.map((each) => ({
    ...each,
    layers: unpack(each.layers),
    scores: mapped(each.scores, unpack),
    bands: mapped(each.bands, (ends) => ends.map(unpack)),
    leavesFrom: unpack(each.leavesFrom),
    says: unpack(each.says),
    fallback: unpack(each.fallback),
  }));
  const flops = raw.flops && {
    lengths: unpack(raw.flops.lengths),
    place: new Map(raw.flops.known.map((length, place) => [length, place])),
    until: unpack(raw.flops.until),
    full: unpack(raw.flops.full),
  };
  const rows = { ...raw.rows, at: unpack(raw.rows.at), classes: unpack(raw.rows.classes) };
  rows.probabilities = unpack(raw.rows.probabilities);
  rows.scores = raw.rows.scores.map(unpack);
  const run = { ...raw, criteria, flops, rows, truth: unpack(raw.truth), predictions: unpack(raw.predictions) };
  run.depth = run.layers.at(-1);
  run.exits = run.layers.length;
  run.judged = run.kind !== "values";
  return run;
}

const mapped = (record, change) => Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));

const currentCriterion = () => currentRun().criteria[state.criterion];
const speedupAt = (run, criterion, point) => run.depth / criterion.layers[point];

/** The position of the point of a curve whose speed-up is nearest to one. */
function pointNear(run, criterion, speedup) {
  let best = 0;
  criterion.layers.forEach((_, point) => {
    const distance = (place) => Math.abs(speedupAt(run, criterion, place) - speedup);
    if (distance(point) < distance(best)) best = point;
  });
  return best;
}

/** The position of the point at which a threshold leaves the rows. */
function pointOf(criterion, threshold) {
  let point = 0;
  criterion.thresholds.forEach((each, place) => { if (each !== null && each >= threshold) point = place; });
  return point;
}

let lastOutcome = {};

/** Where every row leaves at the operating point, counted from 0, and what is predicted for it. */
function outcome() {
  const run = currentRun(), criterion = currentCriterion(), { point } = state;
  if (lastOutcome.criterion === criterion && lastOutcome.point === point) return lastOutcome;
  const { samples, exits } = run, says = criterion.says ?? run.predictions, last = (exits - 1) * samples;
  const exit = new Uint16Array(samples), label = run.judged ? new Uint32Array(samples) : new Float32Array(samples);
  for (let row = 0; row < samples; row++) {
    let place = row;
    while (place < last && criterion.leavesFrom[place] > point) place += samples;
    const isLeaving = criterion.leavesFrom[place] <= point;
    exit[row] = (place - row) / samples;
    label[row] = isLeaving || !criterion.fallback ? says[place] : criterion.fallback[row];
  }
  lastOutcome = { criterion, point, exit, label };
  return lastOutcome;
}

/** What an exit predicts of a row if all rows left there. */
const alone = (run, exit, row) => run.predictions[exit * run.samples + row];

/** The name of a class, a set of labels or a value. */
function nameOf(run, label) {
  if (run.kind === "values") return Number(label).toFixed(2);
  if (run.kind === "classes") return run.labelNames[label];
  return run.sets[label].map((each) => run.labelNames[each]).join(", ") || "none";
}

/** The classes or labels that a prediction stands for. */
const labelsIn = (run, label) => (run.kind === "labels" ? run.sets[label] : [label]);

/** Rows that are right, those that leave before the last exit, and those with the full model's label. */
function tally(run, { exit, label }) {
  let right = 0, early = 0, same = 0;
  for (let row = 0; row < run.samples; row++) {
    right += label[row] === run.truth[row];
    early += exit[row] < run.exits - 1;
    same += label[row] === alone(run, run.exits - 1, row);
  }
  return { right, early, same };
}

/** The speed-up by floating-point operations; null where rows' lengths are not known. */
function flopsSpeedup(run, { exit }) {
  if (!run.flops) return null;
  let full = 0, spent = 0;
  for (let row = 0; row < run.samples; row++) {
    const place = run.flops.place.get(run.flops.lengths[row]);
    full += run.flops.full[place];
    spent += run.flops.until[place * run.exits + exit[row]];
  }
  return full / spent;
}

/** By class: how often it is true, predicted, and both; and the layers that its rows execute. */
function byClass(run, said, exit) {
  const found = run.labelNames.map(() => ({ true: 0, predicted: 0, both: 0, layers: 0 }));
  for (let row = 0; row < run.samples; row++) {
    const right = labelsIn(run, run.truth[row]), predicted = labelsIn(run, said(row));
    for (const label of right) { found[label].true++; found[label].layers += run.layers[exit(row)]; }
    for (const label of predicted) { found[label].predicted++; found[label].both += right.includes(label); }
  }
  return found.map((each) => {
    const precision = each.predicted ? each.both / each.predicted : NaN, recall = each.true ? each.both / each.true : NaN;
    const f1 = each.true + each.predicted ? (2 * each.both) / (each.true + each.predicted) : NaN;
    return { ...each, precision, recall, f1, meanLayers: each.true ? each.layers / each.true : NaN };
  });
}
