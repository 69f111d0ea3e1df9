"""Early exit on ONNX Runtime beside full depth, beside the torch engine, and beside an earlier release's.

All contestants run the same real rows on one thread, each in a process of its own, in turns; what counts is CPU time.
Operating points are chosen on one half of a run's validation rows and scored on the other, whose rows are timed. A
ratio of two contestants is the median of their ratios in every turn, with the quartiles.
"""

import json
import os
import resource
import subprocess
import sys
import time
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

BATCHES = (8, 16, 32)
BARS = [  # faster, slower, how often, on what
    ("exported fp32 2x", "earlier engine 2x", 2.3, "single"),
    ("exported int8 2x", "earlier engine 2x", 3.9, "single"),
    ("engine 2x", "earlier engine 2x", 1.15, "single"),
    ("exported int8 2x", "ORT int8 full", 2.0, "single"),
    ("exported int8 2x", "eager full", 6.2, "single"),
    ("exported fp32 2x", "ORT fp32 full", 2.1, "single"),
    ("exported int8 3x", "ORT int8 full", 3.0, "single"),
    ("exported fp32 2x", "ORT fp32 full", 2.2, "pool"),
    ("exported int8 2x", "ORT int8 full", 2.2, "pool"),
]


def work(plan: dict[str, Any]) -> None:
    """Load one contestant, say how long that took, and run the rows whenever a line asks for it."""
    started = time.perf_counter()
    run_one, run_pool = CONTESTANTS[plan["kind"]](plan)
    rows = plan["rows"]
    run_one(rows[0])
    first = time.perf_counter() - started
    for row in rows[:5]:
        run_one(row)
    answer({"start": first, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024})
    for line in sys.stdin:
        if line.strip() == "single":
            seconds = []
            for row in rows:
                before = time.process_time()
                run_one(row)
                seconds.append(time.process_time() - before)
            answer(seconds)
        else:
            best = inf
            for size in BATCHES if plan["kind"] in ("ort", "eager") else (0,):
                before = time.process_time()
                run_pool(plan["pool"], size)
                best = min(best, time.process_time() - before)
            answer(best)


def answer(what: object) -> None:
    print(json.dumps(what), flush=True)


Runs = tuple[Callable[[dict[str, Any]], object], Callable[[list[dict[str, Any]], int], object]]


def engine(plan: dict[str, Any]) -> Runs:
    """Run the torch engine of the release that is on the path."""
    import torch

    from ee_lightning.inference import EarlyExitPredictor, Sample

    torch.set_num_threads(1)
    load = EarlyExitPredictor.from_run
    predictor = load(plan["run"], criterion=plan["criterion"], threshold=plan["threshold"], device="cpu")

    def run(rows: list[dict[str, Any]], _: int = 0) -> None:
        for _ in predictor.engine.predict([Sample(row["input_ids"], row["token_type_ids"]) for row in rows]):
            pass

    return lambda row: run([row]), run


def eager(plan: dict[str, Any]) -> Runs:
    """Run transformers' own forward and the last head."""
    import torch

    from ee_lightning.inference import EarlyExitPredictor

    torch.set_num_threads(1)
    predictor = EarlyExitPredictor.from_run(plan["run"], criterion="fixed", threshold=inf, device="cpu")
    model = predictor.model
    encoder, heads = model.backbone.encoder, model.heads

    def run(batch: dict[str, Any]) -> None:
        with torch.inference_mode():
            given = {name: torch.tensor(array) for name, array in batch.items()}
            hidden = encoder(**given).last_hidden_state
            heads(model.num_exits, model.backbone.state(hidden, given["attention_mask"]))

    return lambda row: run(padded([row])), in_batches(run)


def ort(plan: dict[str, Any]) -> Runs:
    """Run one flat graph of full depth."""
    session = session_of(plan["file"])
    names = [each.name for each in session.get_inputs()]

    def run(batch: dict[str, Any]) -> None:
        session.run(None, {name: batch[name] for name in names})

    return lambda row: run(padded([row])), in_batches(run)


def exported(plan: dict[str, Any]) -> Runs:
    """Run an exported folder by the runtime."""
    from ee_lightning.inference.batches import Sample
    from ee_lightning.runtime import EarlyExitRuntime

    predictor = EarlyExitRuntime(plan["folder"], criterion=plan["criterion"], threshold=plan["threshold"], threads=1)

    def run(rows: list[dict[str, Any]], _: int = 0) -> None:
        for _ in predictor.engine.predict([Sample(row["input_ids"], row["token_type_ids"]) for row in rows]):
            pass

    return lambda row: run([row]), run


CONTESTANTS: dict[str, Callable[[dict[str, Any]], Runs]] = {
    "engine": engine,
    "eager": eager,
    "ort": ort,
    "exported": exported,
}


def session_of(file: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def in_batches(run: Callable[[dict[str, Any]], None]) -> Callable[[list[dict[str, Any]], int], None]:
    """Return what runs rows, sorted by length, in batches of a size."""

    def runs(rows: list[dict[str, Any]], size: int) -> None:
        ordered = sorted(rows, key=lambda row: len(row["input_ids"]))
        for start in range(0, len(ordered), size):
            run(padded(ordered[start : start + size]))

    return runs


def padded(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    import numpy as np

    longest = max(len(row["input_ids"]) for row in rows)
    batch = {name: np.zeros((len(rows), longest), np.int64) for name in ("input_ids", "attention_mask")}
    batch["token_type_ids"] = np.zeros((len(rows), longest), np.int64)
    for place, row in enumerate(rows):
        size = len(row["input_ids"])
        batch["input_ids"][place, :size], batch["attention_mask"][place, :size] = row["input_ids"], 1
    return batch


class Contestant:
    """A process that runs one contestant."""

    def __init__(self, name: str, plan: dict[str, Any], folder: Path, checkout: Path | None) -> None:
        self.name, self.single, self.pool = name, list[float](), list[float]()
        file = folder / f"{name.replace(' ', '_')}.json"
        file.write_text(json.dumps(plan))
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(checkout or Path(__file__).parents[1])}
        started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--work", file],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.said = self._answer()
        self.start = time.perf_counter() - started

    def turn(self, what: str) -> None:
        """Run the rows once more."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        found = self._answer()
        if what == "single":
            self.single.append(sum(found) / len(found))
            self.rows = (
                found if not hasattr(self, "rows") else [min(each) for each in zip(self.rows, found, strict=True)]
            )
        else:
            self.pool.append(found)

    def end(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended early")
        return json.loads(line)


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    import numpy as np

    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75)).tolist()
    return low, middle, high


def points_of(exits: Any, full: Any, labels: Any, criterion: str, speedups: Sequence[float], seed: int) -> list[Any]:
    """Choose thresholds on one half of the samples, and give their speed-ups and the points they lose on the other."""
    from dataclasses import replace

    from ee_lightning.exits import replay, trace_curve
    from ee_lightning.exits.naming import spec_of
    from ee_lightning.functional import halves

    exits = replace(exits, labels=labels)
    chosen_on, measured_on = halves(exits.num_samples, seed)
    judge = spec_of(criterion).build()
    curve, other = trace_curve(judge, exits.select(chosen_on), ["accuracy"]), exits.select(measured_on)
    right = full.select(measured_on).predictions[-1] == labels[measured_on]
    points = []
    for speedup in speedups:
        threshold = curve.threshold_near(speedup)
        layers, said = replay(judge, other).at(threshold)
        reached = exits.layers_of_exits[-1] / other.layers_run(layers).double().mean().item()
        lost = 100 * (right.double().mean() - (said == other.labels).double().mean()).item()
        points.append((speedup, threshold, reached, lost))
    return points


def write_flat(folder: Path, manifest: Any, file: Path) -> None:
    """Write the stages of an exported folder as one graph of full depth, as one exports a model without exits."""
    import onnx

    inputs, hidden, nodes, weights = {"input_ids", "attention_mask", "token_type_ids"}, "", list[Any](), list[Any]()
    stages = [manifest.graphs.embed, *manifest.graphs.layers, manifest.graphs.exits[-1]]
    for place, stage in enumerate(stages):
        model = onnx.load(folder / stage)

        def name(of: str, place: int = place, before: str = hidden) -> str:
            if of in inputs or not of:
                return of
            return before if of == "hidden" else "logits" if of == "logits" else f"{place}/{of}"

        for node in model.graph.node:
            node.name = name(node.name)
            node.input[:], node.output[:] = map(name, node.input), map(name, node.output)
        for weight in model.graph.initializer:
            weight.name = name(weight.name)
        nodes += model.graph.node
        weights += model.graph.initializer
        hidden = f"{place}/next_hidden"
        if place == 0:
            given = [value for value in model.graph.input if value.name in inputs]
    graph = onnx.helper.make_graph(nodes, "full", given, list(model.graph.output), weights)
    opsets = list(model.opset_import)
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=model.ir_version), file)


def quantise_as_usual(file: Path, quantised: Path) -> None:
    """Quantise a graph by ONNX Runtime's own tool, dynamically, by channel."""
    from onnx import TensorProto
    from onnxruntime.quantization import QuantType, quantize_dynamic

    options = {"DefaultTensorType": TensorProto.FLOAT}
    quantize_dynamic(file, quantised, per_channel=True, weight_type=QuantType.QInt8, extra_options=options)


def main(options: Namespace) -> None:
    import torch

    from ee_lightning.cli.export import RunRows
    from ee_lightning.export.checking import exits_of_stages
    from ee_lightning.export.exporting import export_model
    from ee_lightning.export.sessions import StageSessions
    from ee_lightning.functional import halves
    from ee_lightning.inference import EarlyExitPredictor
    from ee_lightning.runs.folder import RunFolder

    torch.set_num_threads(1)
    predictor = EarlyExitPredictor.from_run(options.run, criterion=options.criterion, threshold=inf, device="cpu")
    rows = RunRows(RunFolder(options.run), predictor)
    _, timed = halves(len(rows.samples), options.seed)
    pool = [sample._asdict() for sample in rows.samples]
    some = [pool[place] for place in timed.tolist()[: options.rows]]
    common = {"rows": some, "pool": pool, "run": str(options.run), "criterion": options.criterion}
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        plans: dict[str, tuple[dict[str, Any], Path | None]] = {"eager full": ({**common, "kind": "eager"}, None)}
        for precision in ("fp32", "int8"):
            there = folder / precision
            manifest = export_model(predictor, there, rows.samples, precision=precision).manifest
            run = StageSessions(there, manifest)
            exits = exits_of_stages(run, predictor.engine.pad, predictor.model, rows.samples)
            right = (exits.predictions[-1] == rows.stored.labels).double().mean().item()
            print(f"{precision} full depth: accuracy {100 * right:.1f}")
            file = folder / f"full_{precision}.onnx"
            if precision == "fp32":
                write_flat(there, manifest, file)
            else:
                quantise_as_usual(folder / "full_fp32.onnx", file)
            plans[f"ORT {precision} full"] = {**common, "kind": "ort", "file": str(file)}, None
            points = points_of(
                exits, rows.stored, rows.stored.labels, options.criterion, options.speedups, options.seed
            )
            for speedup, threshold, reached, lost in points:
                print(f"{precision} {speedup:g}x: {reached:.2f}x by layers, {lost:.2f} points lost on the other half")
                at = {**common, "threshold": threshold}
                plans[f"exported {precision} {speedup:g}x"] = {**at, "kind": "exported", "folder": str(there)}, None
                if precision == "fp32":
                    plans[f"engine {speedup:g}x"] = {**at, "kind": "engine"}, None
                    if options.other is not None:
                        plans[f"earlier engine {speedup:g}x"] = {**at, "kind": "engine"}, options.other
        race(plans, folder, options)


def race(plans: dict[str, tuple[dict[str, Any], Path | None]], folder: Path, options: Namespace) -> None:
    """Run all contestants in turns, and print what they took."""
    contestants = {name: Contestant(name, plan, folder, checkout) for name, (plan, checkout) in plans.items()}
    for what, turns in (("single", options.repeats), ("pool", options.pool_repeats)):
        for _ in range(turns):
            for each in contestants.values():
                each.turn(what)
    print(f"\n{'contestant':<22}{'median ms':>10}{'p95':>8}{'rows/s of the pool':>20}{'start, s':>10}{'MiB':>7}")
    for name, each in contestants.items():
        _, middle, late = (
            quartiles(each.rows)[1],
            quartiles(each.rows)[1],
            sorted(each.rows)[int(0.95 * len(each.rows))],
        )
        pool = len(plans[name][0]["pool"]) / quartiles(each.pool)[1] if each.pool else float("nan")
        print(
            f"{name:<22}{1000 * middle:>10.1f}{1000 * late:>8.1f}{pool:>20.1f}"
            f"{each.said['start']:>10.2f}{each.said['memory']:>7.0f}"
        )
        each.end()
    print("\nhow many times faster, by the mean of the rows: median (quartiles)")
    for faster, slower, bar, what in BARS:
        if faster in contestants and slower in contestants and getattr(contestants[faster], what):
            pairs = zip(getattr(contestants[slower], what), getattr(contestants[faster], what), strict=True)
            low, middle, high = quartiles([one / other for one, other in pairs])
            verdict = "reached" if middle >= bar else "missed"
            print(f"{what:<7}{faster} / {slower}: {middle:.2f} ({low:.2f} to {high:.2f}), bar {bar:g}: {verdict}")


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__.splitlines()[0], formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", help="a run folder with exits of its validation split")
    parser.add_argument("--other", type=Path, help="a checkout of an earlier release")
    parser.add_argument("--criterion", default="confidence", help="when to leave; one that fits nothing")
    parser.add_argument("--speedups", type=float, nargs="+", default=[2.0, 3.0], help="by layers")
    parser.add_argument("--rows", type=int, default=100, help="rows that are run one by one")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each contestant, row by row")
    parser.add_argument("--pool-repeats", type=int, default=5, help="turns of each contestant on all rows")
    parser.add_argument("--seed", type=int, default=0, help="of the halves")
    parser.add_argument("--work", type=Path, help="run one contestant; used by the script itself")
    given = parser.parse_args()
    work(json.loads(given.work.read_text())) if given.work else main(given)
