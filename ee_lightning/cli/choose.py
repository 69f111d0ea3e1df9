"""``ee-lightning choose``: a budget goes in, an operating point comes out."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ee_lightning.analysis import choice
from ee_lightning.analysis.budgets import BUDGETS, Budget, budget_of
from ee_lightning.analysis.calibration import doubts
from ee_lightning.analysis.exit_choice import choose_exits
from ee_lightning.analysis.sweep import all_that_apply, fit_criteria, fit_spec
from ee_lightning.cli.command import Adapter, File, LayersOfExits, Number, Seed
from ee_lightning.cli.models import EXPORT_EXITS, refuse_of_run, refuse_rows
from ee_lightning.cli.predict import Columns
from ee_lightning.errors import OptionError, RunFolderError
from ee_lightning.exits import Criterion, Fitted, StoredExits
from ee_lightning.exits.naming import CriterionSpec, spec_of
from ee_lightning.exits.placement import one_sided
from ee_lightning.exits.threshold import in_words
from ee_lightning.functional import CLASSIFICATION_METRICS, MULTI_LABEL_METRICS, check_metrics
from ee_lightning.inference.deployment import EARLY_EXIT
from ee_lightning.reporting import print_choice
from ee_lightning.runs.folder import CALIBRATION, RunFolder
from ee_lightning.runs.operating_point import OPERATING_POINT, Costs, OperatingPoint
from ee_lightning.runtime.loading import is_exported
from ee_lightning.terminal import wrapped

if TYPE_CHECKING:
    from ee_lightning.cli.exported import ExportedModel

SELECTED_ON = "validation"
"""The split whose scores decide which checkpoint is kept."""

_NOT_STRICT = (
    "fit keeps the checkpoint that scores best on the validation split. If it chose among several, the guarantee does "
    "not hold strictly; it does on rows that nothing was selected on: --split test, or --split calibration for a "
    "criterion that fits nothing."
)
_NOT_SEEN = "the guarantee holds if nothing was trained or selected on these rows before"
_CHOSEN = ("criterion", "threshold", "layers_of_exits", "asked")
FEW = 200
"""Of how many rows on a warning is left out."""
SCHEDULED = "ee_lightning.exits.Scheduled"
METRICS = tuple(dict.fromkeys((*CLASSIFICATION_METRICS, *MULTI_LABEL_METRICS)))


def choose(
    run: Path,
    *,
    criterion: str,
    exits: LayersOfExits | Literal["auto"] | None = None,
    min_speedup: Number | None = None,
    max_loss: Number | None = None,
    max_spoilt: Number | None = None,
    max_brier: Number | None = None,
    max_hellinger: Number | None = None,
    consistency: Number | None = None,
    per_exit: bool = False,
    metric: str | None = None,
    guarantee: Number | Literal["mean"] | None = None,
    split: str = SELECTED_ON,
    seed: Seed = 0,
    input: File | None = None,
    text_columns: Columns | None = None,
    label_column: str | None = None,
    adapter: Adapter | None = None,
    wandb: bool = False,
) -> None:
    """Choose a threshold by a budget on one half of a split, and measure it on the other.

    One budget is needed, such as --min-speedup or --max-loss. The operating point is saved in the folder.

    Args:
        run: The run folder, such as runs/demo/version_0, or what export wrote, with rows of a file in place of a split.
        criterion: Such as confidence or 'voting(k=0.5)'.
        exits: Use only the exits after these layers, such as 3,6,9,12; auto picks them, and counts the speed-up on the
            clock: it measures what a layer and an exit take on this machine (all).
        min_speedup: At least this many times faster, by layers.
        max_loss: At most this many points below the full model, net: rows that only the early exit gets right count.
        max_spoilt: At most this many percent of the rows right in the full model and wrong here; stricter than the net.
        max_brier: A Brier score at most this many points above the full model's.
        max_hellinger: At most this far (in 0.01) from the full model's probabilities.
        consistency: At least this share of labels the same as the full model's.
        per_exit: Give every exit its own threshold, found on the rows that the run held out
            (--data.calibration).
        metric: The score that counts (the task's first): METRICS.
        guarantee: Keep to the budget with this probability, such as 0.95, or on average (mean); it holds for one choice
            made once: trying other seeds, budgets or criteria until one succeeds voids it.
        split: The split whose exits are used: validation, test or calibration.
        seed: The seed of the halves and of the intervals.
        input: For an exported model, labelled rows: .csv, .tsv, .jsonl or .parquet.
        text_columns: The columns of the texts in that file, if they have other names than in the task.
        label_column: What it calls the label, if not as the task.
        adapter: For --exits auto, the full name of your own adapter of the backbone's family.
        wandb: Log the run folder with its operating point to W&B too, as an artifact.
    """
    budget = _budget([min_speedup, max_loss, max_spoilt, max_brier, max_hellinger, consistency])
    spec = CriterionSpec(SCHEDULED, {"base": criterion}) if per_exit else spec_of(criterion)
    if is_exported(str(run)):
        refused = {
            "--exits": (exits is not None, EXPORT_EXITS),
            "--split": (split != SELECTED_ON, "give labelled rows: --input FILE"),
            "--adapter": (adapter is not None, "leave it out"),
            "--wandb": (wandb, "leave it out"),
        }
        refuse_of_run(refused)
        from ee_lightning.cli.exported import ExportedModel  # with transformers, which takes seconds

        _choose_exported(
            ExportedModel(run), spec, budget, _Rows(input, text_columns, label_column), metric, guarantee, seed
        )
        return
    refuse_rows(input=input, text_columns=text_columns, label_column=label_column)
    folder = RunFolder(run)
    is_fitted = isinstance(spec.build(), Fitted)
    if split == CALIBRATION and is_fitted:
        raise OptionError(
            f"{spec.build().name} was fitted on the calibration rows, so they can't choose its threshold",
            where="--split calibration",
            hint="take another split, or a criterion that fits nothing",
        )
    stored, calibration = folder.read_exits(split), folder.read_calibration()
    if metric is not None:
        check_metrics([metric], stored.target, "--metric")
    metric, costs = metric or _primary_metric(folder, split), None
    if exits == "auto":
        costs = _measured(folder, split, stored, fit_spec(spec, calibration).build(), adapter)
        exits = [*choose_exits(stored, calibration, spec, budget, costs, metric=metric, seed=seed)]
    if exits is not None:
        stored, calibration = stored.asking(exits), calibration and calibration.asking(exits)
    point = choice.choose(
        stored,
        fit_spec(spec, calibration),
        budget,
        metric=metric,
        split=split,
        guarantee=guarantee,
        seed=seed,
        costs=costs,
    )
    if per_exit:
        point = choice.per_exit(point)
    replaced = _replaced(folder, point)
    with folder.whole(OPERATING_POINT) as file:
        point.write(file)
    doubtful = doubts(calibration, stored) if is_fitted and calibration is not None else ()
    rivals = list[Criterion]()
    if guarantee is None and costs is None:
        rivals = [*all_that_apply(stored, None if split == CALIBRATION else calibration)]
        fit_criteria(rivals, calibration)
    _print(point, budget, stored, rivals, doubtful)
    if replaced:
        print(wrapped(f"replaced: {replaced}", sys.stdout))
    print(f"saved: {folder.path / OPERATING_POINT}")
    if wandb:
        _log(folder, {"criterion": criterion, "threshold": point.threshold})


choose.__doc__ = str(choose.__doc__).replace("METRICS", ", ".join(METRICS))


class _Rows(NamedTuple):
    """A file of labelled rows, and what it calls texts and label."""

    file: Path | None
    text_columns: Columns | None
    label_column: str | None


def _choose_exported(
    model: "ExportedModel",
    spec: CriterionSpec,
    budget: Budget,
    rows: _Rows,
    metric: str | None,
    guarantee: float | Literal["mean"] | None,
    seed: int,
) -> None:
    """Choose by what the exported exits say of the rows of a file, and save the point in the folder."""
    spec, target = model.known(spec), model.deployment.target
    if metric is not None:
        check_metrics([metric], target, "--metric")
    stored, split = model.labelled(*rows), "" if rows.file is None else rows.file.name
    point = choice.choose(
        stored, spec, budget, metric=metric or model.metric, split=split, guarantee=guarantee, seed=seed
    )
    old = model.deployment.rule
    model.save(point)
    rivals = all_that_apply(stored, None) if guarantee is None else []
    _print(point, budget, stored, rivals, [] if guarantee is None else [_NOT_SEEN])
    if not model.has_single(spec):
        note = (
            f"note: no graph for single rows holds {spec.build().name}, so that they go layer by layer; for one, "
            "choose it for the run, and export that again"
        )
        print(wrapped(note, sys.stdout))
    if (old.criterion, old.threshold) != (point.criterion, point.threshold):
        print(wrapped(f"replaced: {old}", sys.stdout))
    print(f"saved: {model.folder / EARLY_EXIT}")


def _print(
    point: OperatingPoint,
    budget: Budget,
    stored: StoredExits,
    rivals: Sequence[Criterion],
    doubtful: Iterable[str],
) -> None:
    """Print an operating point, what to doubt about it, and a rival that is clearly better."""
    print_choice(point, criterion_name=point.criterion.build().name)
    for line in (*_warnings(point), *doubtful):
        print(wrapped(f"warning: {line}", sys.stdout))
    if rivals and (rival := choice.clear_rival(point, budget, rivals, stored)) is not None:
        print(wrapped(_praise(rival, budget), sys.stdout))


def _measured(folder: RunFolder, split: str, stored: StoredExits, criterion: Criterion, adapter: str | None) -> Costs:
    """Measure what a row of the split takes of the run's model, on this machine."""
    if split == CALIBRATION:
        what, hint = "the clock is measured on the rows of a split", "take --split validation or test"
        raise OptionError(what, where="--exits auto", hint=hint)
    from ee_lightning.inference import samples_of  # with transformers, which takes seconds
    from ee_lightning.inference.costs import measure_costs
    from ee_lightning.models.backbones.loading import load_adapter
    from ee_lightning.runs.load_run import evaluated_rows, load_run

    load_adapter(adapter)
    model, rows = load_run(folder, split)
    return measure_costs(model, samples_of(evaluated_rows(rows, stored)[:]), criterion)


def _warnings(point: OperatingPoint) -> Iterator[str]:
    if (samples := point.chosen_on + point.measured_on) < FEW:
        yield f"{samples} samples are few to choose and to measure on; take a split of {FEW} or more"
    mean_layers = point.layers_of_exits[-1] / point.reached["speedup"].value
    if found := one_sided(mean_layers, point.layers_of_exits, f"{point.measured_on} other samples"):
        yield found
    if point.asked.guarantee is not None and point.asked.split == SELECTED_ON:
        yield _NOT_STRICT


def _praise(rival: choice.Rival, budget: Budget) -> str:
    gained, unit, scale = {"speedup": ("faster", "x", 1), "score": ("better", " points", 100)}[rival.figure]
    gain, low, high = (scale * figure for figure in (rival.gain.value, rival.gain.low, rival.gain.high))
    return (
        f"note: --criterion '{rival.criterion}' keeps to {budget} too, and is {gained} by {gain:.2g}{unit} "
        f"(interval {low:.2g} to {high:.2g}) on the samples it was chosen on"
    )


def _replaced(folder: RunFolder, point: OperatingPoint) -> str | None:
    """Return what to call the operating point that another one is about to replace; None where there is no other."""
    if not (folder.path / OPERATING_POINT).is_file():
        return None
    try:
        old = OperatingPoint.read(folder.path)
    except RunFolderError:
        return "an operating point that can't be read"
    if all(getattr(old, name) == getattr(point, name) for name in _CHOSEN):
        return None
    asked = old.asked
    options = [str(budget_of(asked)), f"--metric {asked.metric}", f"--split {asked.split}", f"--seed {asked.seed}"]
    if isinstance(old.threshold, tuple):
        options.append("--per-exit")
    if old.layers_of_exits != point.layers_of_exits:
        options.append(f"--exits {','.join(map(str, old.layers_of_exits))}")
    if asked.guarantee is not None:
        options.append(f"--guarantee {asked.guarantee}")
    return (
        f"the operating point {old.criterion.build().name} at {in_words(old.threshold)}, chosen by {' '.join(options)}"
    )


def _log(folder: RunFolder, config: Mapping[str, Any]) -> None:
    """Log a run folder as a W&B run of its own, in the project where it was logged before."""
    from ee_lightning.tracking import EarlyExitWandbLogger  # which takes seconds
    from ee_lightning.tracking.start import read_record

    record = read_record(folder)
    place = {"project": record.get("project", "ee_lightning"), "entity": record.get("entity")}
    logger = EarlyExitWandbLogger(job_type="choose", **place)
    logger.log_hyperparams({"choose": {"run": str(folder.path), **config}})
    logger.log_run_folder(folder)
    logger.finish()


def _primary_metric(folder: RunFolder, split: str) -> str:
    """Name the task's first metric; the calibration rows have no figures of their own."""
    figures = next(iter(folder.read_summary().values())) if split == CALIBRATION else folder.read_figures(split)
    return str(figures["metrics"][0])


def _budget(values: Sequence[float | None]) -> Budget:
    """Return the one budget that has a value, which stand in the order of `BUDGETS`."""
    budgets = [kind(value) for kind, value in zip(BUDGETS, values, strict=True) if value is not None]
    if len(budgets) != 1:
        raise OptionError(
            "one budget is needed, such as --min-speedup or --max-loss, and no two of them",
            where="the command line",
            hint="'ee-lightning choose --help' lists the options",
        )
    return budgets[0]
