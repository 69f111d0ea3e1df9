"""Early exit on ONNX Runtime beside full depth, beside the torch engine, and beside that of an earlier commit.

All contestants run the same real rows on one thread, each in a process of its own, in turns; what counts is CPU time.
Operating points are chosen on one half of a run's validation rows, by what the exported exits say, and scored on the
other, whose rows are timed. Int8 is calibrated on the first half too.
"""

import subprocess
import sys
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict, replace
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from contest.full_depth import quantise_as_usual, run_alone, write_flat
from contest.race import ROOT, Entry, Process, print_bars, print_table, race
from torch import Tensor

from ee_lightning.analysis.budgets import MinSpeedup
from ee_lightning.analysis.candidates import list_candidates
from ee_lightning.analysis.exit_choice import choose_exits
from ee_lightning.cli.export import RunRows
from ee_lightning.exits import Confidence, StoredExits, replay, spec_of, trace_curve
from ee_lightning.export.checking import NEAR, exits_in_runtime
from ee_lightning.export.exporting import export_model
from ee_lightning.functional import halves
from ee_lightning.inference import EarlyExitEngine, EarlyExitPredictor
from ee_lightning.models import HeadOptions
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.operating_point import Costs
from ee_lightning.runtime import EarlyExitRuntime
from ee_lightning.runtime.manifest import MANIFEST, Manifest

EARLIER = "4b70e66"
NAMES = ("2x", "2.5x", "3x")
EXIT = 0.2
"""What an exit costs, in layers, where exits are picked."""
STARTS = 3
BARS = [  # faster, slower, at least how often, on what
    ("exported fp32 2x", "earlier engine 2x", 2.3, "single"),
    ("exported int8 2x", "earlier engine 2x", 3.9, "single"),
    ("engine 2x", "earlier engine 2x", 1.15, "single"),
    ("exported int8 2x", "ORT int8 full", 2.0, "single"),
    ("exported int8 2x", "eager full", 6.2, "single"),
    ("exported fp32 2x", "ORT fp32 full", 2.1, "single"),
    ("exported int8 3x", "ORT int8 full", 3.0, "single"),
    ("placed int8 2x", "ORT int8 full", 2.0, "single"),
    ("placed fp32 2x", "ORT fp32 full", 2.1, "single"),
    ("placed int8 3x", "ORT int8 full", 3.0, "single"),
    ("exported fp32 2x", "ORT fp32 full", 2.2, "pool"),
    ("exported int8 2x", "ORT int8 full", 2.2, "pool"),
    ("exported fp32 2.5x", "ORT fp32 full", 2.2, "pool"),
    ("exported int8 2.5x", "ORT int8 full", 2.2, "pool"),
]
JUDGE = Confidence()
FEW = 200
"""Rows of a pool, where it is run for its memory."""


class Contest:
    """Prepares the contestants of a run.

    Args:
        options: The command line's.
        folder: Where to put what they need.
    """

    def __init__(self, options: Namespace, folder: Path) -> None:
        self.options, self.folder, self.entries = options, folder, dict[str, Entry]()
        self.predictor = predictor_of(options.run)
        self.rows = RunRows(RunFolder(options.run), self.predictor)
        self.chosen_on, self.measured_on = halves(len(self.rows.samples), options.seed)
        self.labels = self.rows.stored.known_labels()
        model = self.predictor.model
        model.backbone.encoder.save_pretrained(folder / "backbone")
        torch.save(model.state_dict(), folder / "weights.pt")
        decode = self.predictor.tokenizer.decode
        pool = [
            {"input_ids": ids, "token_type_ids": types or [0] * len(ids), "text": decode(ids, skip_special_tokens=True)}
            for ids, types in self.rows.samples
        ]
        heads, usual = asdict(model.heads.options), asdict(HeadOptions())  # an earlier engine lacks newer options
        self.common = {
            **{"backbone": str(folder / "backbone"), "weights": str(folder / "weights.pt")},
            "heads": {name: value for name, value in heads.items() if name != "exits" and value != usual[name]},
            "num_classes": model.target.num_classes,
            "rows": [pool[place] for place in self.measured_on.tolist()][: options.rows],
            "pool": pool,
        }

    def score(self, said: Tensor) -> float:
        """Return the accuracy on the other half, in percent, of labels of all rows, ``[samples]``."""
        return 100 * (said == self.labels)[self.measured_on].double().mean().item()

    def add(self, name: str, kind: str, said: Tensor, layers: float = 1.0, **plan: Any) -> None:
        """Add a contestant that predicts these labels."""
        checkout, has_pool = plan.pop("checkout", ROOT), any(what == "pool" and name in bar for *bar, _, what in BARS)
        self.entries[name] = Entry({**self.common, "kind": kind, **plan}, self.score(said), layers, checkout, has_pool)

    def export(self, predictor: EarlyExitPredictor, name: str, precision: Any) -> tuple[Path, StoredExits]:
        """Export a model, and return the folder and what its exits say of all rows."""
        there, calibration = self.folder / name, [self.rows.samples[place] for place in self.chosen_on]
        if not (there / MANIFEST).exists():
            export_model(predictor, there, calibration, precision=precision)
        exits = exits_in_runtime(there, Manifest.read(there), predictor.model.target)(self.rows.samples)
        return there, replace(exits, labels=self.labels)

    def add_full_depth(self, precision: str, fp32: Path, name: str) -> None:
        """Add one flat graph of full depth, in int8 quantised as one usually does, scored row by row."""
        flat = self.folder / f"{fp32.name} flat.onnx"
        write_flat(fp32, flat)
        if precision == "int8":
            quantise_as_usual(flat, flat := self.folder / f"{fp32.name} flat int8.onnx")
        self.add(name, "ort", run_alone(flat, self.rows.samples).argmax(-1), file=str(flat))

    def add_point(self, name: str, exits: StoredExits, thresholds: Any, **plan: Any) -> None:
        """Add an operating point, for which the plan says what runs it."""
        layers, said = replay(JUDGE, exits).at(thresholds)
        ran = exits.layers_run(layers)[self.measured_on].double().mean().item()
        self.add(name, said=said, layers=self.rows.stored.layers_of_exits[-1] / ran, threshold=thresholds, **plan)

    def add_exported(self, precision: str, there: Path, exits: StoredExits) -> None:
        """Add operating points of an exported folder, and in float32 the torch engines at the first of them."""
        curve = trace_curve(JUDGE, exits.select(self.chosen_on), ["accuracy"])
        for name, speedup in zip(NAMES, self.options.speedups, strict=True):
            threshold = curve.threshold_near(speedup)
            self.add_point(f"exported {precision} {name}", exits, threshold, kind="exported", folder=str(there))
            if precision == "fp32" and name == NAMES[0]:
                self.add_point(f"engine {name}", exits, threshold, kind="engine")
                for other in self.options.other:
                    self.add_point(f"earlier engine {name}", exits, threshold, kind="engine", checkout=other)
        self.add_point(f"exported {precision} full", exits, nobody_early(exits), kind="exported", folder=str(there))

    def add_placed(self, precision: str, stored: StoredExits) -> None:
        """Add a point of few exits, picked together with the threshold for a speed-up by layers and exits."""
        depth = stored.layers_of_exits[-1]
        costs = Costs(start=0, layer=1, exit=EXIT, full=depth + EXIT, device="cpu", threads=1)
        asked = {"metric": "accuracy", "seed": self.options.seed}
        for name, speedup in zip(NAMES, self.options.speedups, strict=True):
            budget = MinSpeedup(speedup)
            layers = choose_exits(stored, None, spec_of("confidence"), budget, costs, **asked)
            there, exits = self.export(predictor_of(self.options.run, layers), f"placed {precision} {name}", precision)
            chosen = exits.select(self.chosen_on)
            candidates = list_candidates(JUDGE, chosen, "accuracy", costs)
            place = budget.find(candidates, guarantee=None)
            threshold = float(candidates.curve.thresholds[-1 if place is None else place])
            print(f"{precision} {name} placed: exits after layers {layers}, threshold {threshold:.4f}")
            self.add_point(f"placed {precision} {name}", exits, threshold, kind="exported", folder=str(there))

    def add_whole(self, run: Path, name: str) -> None:
        """Add another model at its full depth."""
        predictor = predictor_of(run)
        fp32, _ = self.export(predictor, f"{name} fp32", "fp32")
        self.add_full_depth("int8", fp32, f"ORT int8 {name}")
        int8, exits = self.export(predictor, f"{name} int8", "int8")
        self.add_point(f"exported int8 {name}", exits, nobody_early(exits), kind="exported", folder=str(int8))


def predictor_of(run: Path, exits: Sequence[int] | None = None) -> EarlyExitPredictor:
    return EarlyExitPredictor.from_run(run, criterion="confidence", threshold=inf, device="cpu", exits=exits)


def nobody_early(exits: StoredExits) -> tuple[float, ...]:
    return (inf,) * (exits.num_exits - 1) + (-inf,)


def print_equality(contest: Contest, folders: dict[str, Path], exits: dict[str, StoredExits]) -> None:
    """Print how many rows get the same exits and labels by the runtime alone and pooled, and by the torch engine."""
    samples = contest.rows.samples
    print(f"\nof {len(samples)} rows")
    for precision, there in folders.items():
        threshold = contest.entries[f"exported {precision} 2x"].plan["threshold"]
        replayed = replay(JUDGE, exits[precision])
        near = (replayed.scores[:-1] - threshold).abs().amin(0) <= NEAR  # [samples]
        runtime = EarlyExitRuntime(there, criterion="confidence", threshold=threshold, threads=1).engine
        alone = gathered(each for sample in samples for each in runtime.predict([sample]))
        found = {"a pool": gathered(runtime.predict(samples)), "a replay": replayed.at(threshold)}
        if precision == "fp32":
            engine = EarlyExitEngine(contest.predictor.model, JUDGE, threshold)
            found["the torch engine"] = gathered(engine.predict(samples))
        for name, other in found.items():
            differ = [(mine != theirs) & ~near for mine, theirs in zip(alone, other, strict=True)]
            exits_differ, labels_differ = (int(each.sum()) for each in differ)
            print(
                f"{precision}, alone and by {name}: {exits_differ} exits and {labels_differ} labels differ, but for "
                f"{int(near.sum())} rows within {NEAR:g} of the threshold"
            )


def gathered(predictions: Any) -> tuple[Tensor, Tensor]:
    """Return the exits and labels of some predictions, ``[samples]`` each."""
    found = [(torch.as_tensor(each.exit_layers), torch.as_tensor(each.labels)) for each in predictions]
    exits, labels = (torch.cat(each) for each in zip(*found, strict=True))
    return exits, labels


def print_int8(fp32: StoredExits, int8: StoredExits, measured_on: Tensor) -> None:
    """Print what int8 does to every exit."""
    print(
        f"\n{'exit after layer':<20}{'accuracy, fp32':>15}{'int8':>8}{'same labels, %':>16}{'largest difference':>20}"
    )
    for place, layer in enumerate(fp32.layers_of_exits):
        said = [each.predictions[place][measured_on] for each in (fp32, int8)]
        scores = [100 * (each == fp32.known_labels()[measured_on]).double().mean().item() for each in said]
        same = 100 * (said[0] == said[1]).double().mean().item()
        difference = (fp32.logits[place] - int8.logits[place]).abs().max().item()
        print(f"{layer:<20}{scores[0]:>15.2f}{scores[1]:>8.2f}{same:>16.1f}{difference:>20.2f}")


def print_start_and_memory(contest: Contest, folders: dict[str, Path]) -> None:
    """Print what a process of the runtime takes to its first prediction and at most, beside ONNX Runtime alone."""
    titles = "".join(f"{'CPU s':>8}{'wall s':>8}{f'MiB, {what}':>18}" for what in ("single rows", "pool"))
    print(f"\n{'start and memory':<22}{titles}")
    for precision, there in folders.items():
        point = contest.entries[f"exported {precision} 2x"].plan
        single = next(each.file for each in Manifest.read(there).single if each.class_path.endswith("Confidence"))
        thresholds = [point["threshold"]] * len(contest.rows.stored.layers_of_exits)
        seen: dict[str, list[float]] = {}
        for kind in ("deployed", "bare"):
            for _ in range(STARTS):
                for what in ("single", "pool"):
                    plan = {**point, "kind": kind, "file": single, "for": what, "pool": point["pool"][:FEW]}
                    plan |= {"threshold": thresholds} if kind == "bare" else {}
                    process = Process(plan, contest.folder)
                    process.ask(f"{what} 16" if what == "pool" else what)
                    figures = [process.start_cpu, process.start_wall, float(process.ask("peak"))]
                    process.end()
                    seen.setdefault(f"{kind} {what}", []).append(figures)  # type: ignore[arg-type]
        medians = {name: np.median(figures, axis=0) for name, figures in seen.items()}
        for kind, name in (("deployed", f"runtime, {precision}"), ("bare", f"bare, {precision}")):
            cells = [*medians[f"{kind} single"], *medians[f"{kind} pool"]]
            print(
                f"{name:<22}{cells[0]:>8.2f}{cells[1]:>8.2f}{cells[2]:>18.0f}"
                f"{cells[3]:>8.2f}{cells[4]:>8.2f}{cells[5]:>18.0f}"
            )
        ratios = [medians[f"deployed {what}"][2] / medians[f"bare {what}"][2] for what in ("single", "pool")]
        print(f"{'times the memory':<22}{ratios[0]:>34.2f}{ratios[1]:>34.2f}")


def print_p95(entries: dict[str, Entry]) -> None:
    mine, theirs = (float(np.quantile(entries[name].rows(), 0.95)) for name in ("exported int8 2x", "ORT int8 full"))
    verdict = "reached" if mine <= 0.9 * theirs else "MISSED"
    print(f"p95 of exported int8 2x / ORT int8 full: {mine / theirs:.2f}, bar 0.9 at most: {verdict}")


def main(options: Namespace) -> None:
    torch.set_num_threads(1)
    with TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(exist_ok=True)
        if options.run is None:
            options.run = trained(folder)
        options.other = [checkout_of(options.earlier, folder)] if options.earlier else []
        contest = Contest(options, folder)
        contest.add("eager full", "eager", contest.rows.stored.predictions[-1])
        folders, exits = dict[str, Path](), dict[str, StoredExits]()
        for precision in ("fp32", "int8"):
            folders[precision], exits[precision] = contest.export(contest.predictor, precision, precision)
            contest.add_full_depth(precision, folders["fp32"], f"ORT {precision} full")
            contest.add_exported(precision, folders[precision], exits[precision])
        for precision in ("fp32", "int8"):
            contest.add_placed(precision, exits[precision])
        for name in ("truncated", "smaller"):
            if (run := getattr(options, name)) is not None:
                contest.add_whole(run, name)
        print(f"{len(contest.entries)} contestants", flush=True)
        race(contest.entries, folder, options.repeats)
        full = contest.entries["eager full"].score
        print(f"{contest.predictor!r}, {len(contest.common['rows'])} rows timed alone")  # type: ignore[arg-type]
        print_table(contest.entries, full)
        print_bars(contest.entries, BARS)
        print_p95(contest.entries)
        print_int8(exits["fp32"], exits["int8"], contest.measured_on)
        print_equality(contest, folders, exits)
        print_start_and_memory(contest, folders)
        for other in options.other:
            subprocess.run(["git", "worktree", "remove", "--force", other], cwd=ROOT, check=True)


def trained(folder: Path) -> Path:
    """Train the packaged model on the packaged task, in minutes."""
    command = [sys.executable, "-m", "ee_lightning", "fit", "--config", "demo", "--run.root", str(folder)]
    subprocess.run(command, check=True, cwd=ROOT)
    return next(folder.glob("demo/version_*"))


def checkout_of(commit: str, folder: Path) -> Path:
    """Check an earlier commit out, to run its engine beside today's."""
    there = folder / "earlier"
    subprocess.run(["git", "worktree", "add", "--detach", "--quiet", there, commit], cwd=ROOT, check=True)
    return there


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__.splitlines()[0], formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("--run", type=Path, help="a run of several exits, by default one that is trained first")
    parser.add_argument("--truncated", type=Path, help="a run of a model of fewer layers, on the same rows")
    parser.add_argument("--smaller", type=Path, help="a run of another, smaller model, on the same rows")
    parser.add_argument("--earlier", default=EARLIER, help="a commit whose engine runs too; '' for none")
    parser.add_argument(
        "--speedups", type=float, nargs=3, default=[2.26, 2.75, 3.23], help="by layers, called 2x, 2.5x, 3x"
    )
    parser.add_argument("--rows", type=int, default=100, help="rows that are run one by one")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each contestant")
    parser.add_argument("--folder", type=Path, help="keep the graphs there")
    parser.add_argument("--seed", type=int, default=0, help="of the halves")
    main(parser.parse_args())
