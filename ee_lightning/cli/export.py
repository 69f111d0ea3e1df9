"""``ee-lightning export``: a model as graphs that run without torch."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from rich.console import Console
from rich.table import Table

from ee_lightning.analysis import choice
from ee_lightning.analysis.budgets import budget_of
from ee_lightning.analysis.sweep import fit_spec
from ee_lightning.cli.choose import SCHEDULED
from ee_lightning.cli.command import Adapter, File, LayersOfExits, Number
from ee_lightning.cli.models import Model, load
from ee_lightning.cli.predict import Columns
from ee_lightning.errors import OptionError, RunFolderError, listed
from ee_lightning.exits import CriterionSpec, Fitted, StoredExits
from ee_lightning.extras import require_extra
from ee_lightning.functional import same_rows, weighted_scores
from ee_lightning.inference import EarlyExitPredictor, ExitPolicy, Sample, samples_of
from ee_lightning.inference.input import InputRows
from ee_lightning.models.backbones.loading import load_adapter
from ee_lightning.reporting import print_choice
from ee_lightning.runs.folder import CALIBRATION, RunFolder
from ee_lightning.runs.load_run import RunOptions, evaluated_rows
from ee_lightning.runtime.loading import is_run
from ee_lightning.terminal import wrapped

if TYPE_CHECKING:
    from ee_lightning.export.checking import RunExits
    from ee_lightning.export.exporting import Exported
    from ee_lightning.runtime.manifest import Single

Precision = Literal["fp32", "int8"]


def export(
    model: Model,
    folder: str,
    *,
    precision: Precision = "fp32",
    exits: LayersOfExits | None = None,
    criterion: str | None = None,
    threshold: Number | None = None,
    input: File | None = None,
    text_columns: Columns | None = None,
    adapter: Adapter | None = None,
) -> None:
    """Write a model as ONNX graphs, which run without torch, and check them on real rows.

    In int8 the outputs of the exits change, so for a run the operating point is chosen again from these outputs.

    Args:
        model: A run folder, or what save wrote: its folder, or its name on the hub.
        folder: The folder to write.
        precision: The precision of matrix products.
        exits: Keep only the exits after these layers, such as 3,6,9,12 (left out: those of the operating point).
        criterion: Such as confidence or 'voting(k=0.5)', with --threshold (left out: those of the operating point).
        threshold: In the criterion's unit; with inf no text leaves early.
        input: Texts to check the graphs on; a run has rows of its own.
        text_columns: The columns of the texts in the file, if they have other names than in the task.
        adapter: The full name of your own adapter of the backbone's family, such as my_module.MyBackbone.
    """
    if not folder:
        raise OptionError("'' names no folder", where="FOLDER", hint="name one, such as my-graphs")
    require_extra("export")
    load_adapter(adapter)
    from ee_lightning.export.exporting import export_model  # which takes seconds, and packages that not all have

    predictor = load(model, criterion, threshold, exits, device="cpu")
    rows = None if input is not None or not is_run(model) else RunRows(RunFolder(model), predictor)
    samples = _texts(predictor, model, input, text_columns) if rows is None else rows.samples
    exported = export_model(predictor, Path(folder), samples, precision=precision, choice=rows)
    _print(exported, len(samples))
    if precision == "int8":
        _print_effects(exported, rows)
        if rows is None or exported.deployment.rule.operating_point is None:
            warning = "warning: the threshold is that of fp32, and int8 changes the scores: choose it again on labelled"
            warning = f"{warning} rows (ee-lightning choose {folder} --input FILE)"
            print(wrapped(warning, sys.stdout))
    print(f"early exit by {exported.deployment.rule}")
    print(f"saved: {folder}")


def _texts(predictor: EarlyExitPredictor, model: str, input: Path | None, names: Columns | None) -> list[Sample]:
    if input is None:
        hint = "give a file of the kind of texts that it will predict: --input FILE"
        raise OptionError("graphs are checked on real rows, and a saved model has none", where=model, hint=hint)
    found = [row.texts for row in InputRows(input, predictor.deployment.choices(names))]
    if not found:
        raise OptionError("there are no texts to check the graphs on", where=input, hint="give a file of some rows")
    return predictor.tokenise(found)


class RunRows:
    """The rows of a run on whose exits its operating point was chosen, or is chosen again.

    Attributes:
        stored: What the model's exits said of them.
        samples: The rows.
    """

    def __init__(self, run: RunFolder, predictor: EarlyExitPredictor) -> None:
        point = predictor.deployment.rule.operating_point
        split = None if point is None else point.asked.split
        if split is None:
            split = next(filter(run.has_exits, ("validation", "test")), None)
        if split is None:
            hint = "give texts to check the graphs on: --input FILE"
            raise RunFolderError("the run has no stored exits, which say what its rows are", where=run.path, hint=hint)
        self._run, self._rows = run, RunOptions.read(run).rows()
        self._layers = predictor.model.layers_of_exits
        self.split, self.stored = split, run.read_exits(split).asking(self._layers)
        self.samples, self.metric = self._samples(split, self.stored), str(run.read_figures(split)["metrics"][0])

    def __call__(self, rule: ExitPolicy, exits: StoredExits, run: "RunExits") -> ExitPolicy:
        """Choose the operating point again, as it was asked for; a rule that was given stays."""
        if (point := rule.operating_point) is None:
            return rule
        spec, is_per_exit = point.criterion, isinstance(point.threshold, tuple)
        if is_per_exit:
            spec = CriterionSpec(SCHEDULED, {"base": spec.build().name})
        if isinstance(spec.build(), Fitted):
            stored = self._run.read_calibration()
            said = None if stored is None else _with_labels(run(self._samples(CALIBRATION, stored)), stored)
            spec = fit_spec(replace(spec, fitted={}), said)
        asked = point.asked
        chosen = choice.choose(
            _with_labels(exits, self.stored),
            spec,
            budget_of(asked),
            metric=asked.metric,
            split=asked.split,
            guarantee=asked.guarantee,
            seed=asked.seed,
            costs=point.costs,
        )
        chosen = choice.per_exit(chosen) if is_per_exit else chosen
        return ExitPolicy(chosen.criterion, chosen.threshold, chosen)

    def _samples(self, split: str, stored: StoredExits) -> list[Sample]:
        rows = self._rows.of("train" if split == CALIBRATION else split)
        return samples_of(evaluated_rows(rows, stored)[:])


def _with_labels(exits: StoredExits, stored: StoredExits) -> StoredExits:
    return replace(exits, labels=stored.labels, ids=stored.ids, rows=stored.rows)


def _name(single: "Single") -> str:
    return CriterionSpec(single.class_path, single.init_args).build().name


def _print(exported: "Exported", num_rows: int) -> None:
    manifest, checks = exported.manifest, exported.checks
    layers, last = ", ".join(map(str, manifest.exit_layers)), manifest.exit_layers[-1]
    print(f"{manifest.model_type}, {last} layers in {manifest.precision}, exits after layers {layers}")
    print(f"attention fused in {exported.fused} of {last} layers")
    lines = [
        f"checked on {checks.rows} of {num_rows} rows: logits differ by {checks.difference:.2g} at most; "
        f"{checks.same_exits} exits and {checks.same_labels} labels are the model's",
        f"single rows: {listed([_name(each) for each in manifest.single])}",
        *(f"single rows by {name} go layer by layer: {reason}" for name, reason in exported.left_out.items()),
    ]
    print(*(wrapped(line, sys.stdout) for line in lines), sep="\n")
    if (point := exported.deployment.rule.operating_point) is not None and exported.exits is not None:
        print_choice(point, criterion_name=point.criterion.build().name)


def _print_effects(exported: "Exported", rows: RunRows | None) -> None:
    """Print what int8 does to every exit of a run's rows."""
    if rows is None or exported.exits is None or rows.stored.labels is None:
        return
    point = exported.deployment.rule.operating_point
    metric = rows.metric if point is None else point.asked.metric
    ours, once = _with_labels(exported.exits, rows.stored), torch.ones(1, rows.stored.num_samples)  # [1, samples]
    table = Table(title=f"int8, on {ours.num_samples} rows of the split {rows.split}")
    for column in ("exit after layer", f"{metric}, fp32", "int8", "same labels, %", "largest difference of a logit"):
        table.add_column(column, justify="right")
    for place, layer in enumerate(ours.layers_of_exits):
        scores = (
            weighted_scores(each.predictions[place], each.known_labels(), once, metric, each.num_classes).item()
            for each in (rows.stored, ours)
        )
        same = same_rows(ours.predictions[place], rows.stored.predictions[place]).double().mean().item()
        difference = (ours.logits[place] - rows.stored.logits[place]).abs().max().item()
        cells = [*(f"{100 * score:.1f}" for score in scores), f"{100 * same:.1f}", f"{difference:.2g}"]
        table.add_row(str(layer), *cells)
    Console().print(table)
