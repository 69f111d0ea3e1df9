"""``ee-lightning explain``: what every exit says of a row, where it leaves and why."""

import sys
from itertools import compress
from typing import Annotated, Literal

from pydantic import Field
from rich.console import Console
from rich.table import Table
from torch import Tensor

from ee_lightning.cli.command import Adapter, LayersOfExits, Number
from ee_lightning.cli.models import Model, load
from ee_lightning.cli.predict import said
from ee_lightning.errors import DataError, OptionError, shown
from ee_lightning.exits import StoredExits, at_exits, reaches, replay
from ee_lightning.functional import Kind
from ee_lightning.inference.input import OwnRows
from ee_lightning.inference.policy import ExitPolicy, policy_of_run
from ee_lightning.models.backbones.loading import load_adapter
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.load_run import RunOptions
from ee_lightning.runtime.loading import is_run
from ee_lightning.terminal import wrapped


def explain(
    model: Model,
    *,
    row: Annotated[int, Field(ge=0), "NUMBER"] | None = None,
    text: str | None = None,
    pair: str | None = None,
    split: Literal["validation", "test"] = "validation",
    criterion: str | None = None,
    threshold: Number | None = None,
    exits: LayersOfExits | None = None,
    adapter: Adapter | None = None,
) -> None:
    """Print what every exit predicts for a row or a text, where it leaves and why.

    Args:
        model: A run folder, or for --text also what save wrote.
        row: A row of the run's stored exits, by its number in the data, from 0, which predictions call its id.
        text: A text instead.
        pair: Its second text, for a task on two.
        split: The split of the row.
        criterion: Such as confidence or 'voting(k=0.5)', with --threshold (left out: those of the operating point).
        threshold: In the criterion's unit; with inf no text leaves early.
        exits: Use only the exits after these layers, such as 3,6,9,12 (left out: those of the operating point).
        adapter: The full name of your own adapter of the backbone's family, such as my_module.MyBackbone.
    """
    load_adapter(adapter)
    if (row is None) == (text is None):
        what = "one of --row and --text is needed, and not both"
        raise OptionError(what, where="the command line", hint="give one of them")
    if text is None and pair is not None:
        raise OptionError("--pair is the second text beside --text", where="--pair", hint="leave it out")
    if text is not None and split != "validation":
        raise OptionError("--split says where --row is, and a text is given", where="--split", hint="leave it out")
    if text is not None:
        predictor = load(model, criterion, threshold, exits, device="cpu")
        deployment, said_of_text = predictor.deployment, predictor.exits_of(text, pair)
        _print(said_of_text, deployment.rule, deployment.label_names, deployment.label_separator)
        return
    if not is_run(model):
        hint = "name a run folder, such as runs/demo/version_0, or give --text"
        raise OptionError("this is no run folder, and only a run has stored exits", where=model, hint=hint)
    folder, options = RunFolder(model), RunOptions.read(RunFolder(model))
    stored = folder.read_exits(split)
    position = stored.ids.eq(row or 0).nonzero().flatten()  # [1], or [0]
    if len(position) != 1:
        raise DataError(
            f"the stored exits of the split {split} have no row {row}",
            where=folder.path,
            hint=f"take one of its {stored.num_samples} rows, such as --row {stored.ids[0]}, or another --split",
        )
    rule, asked = policy_of_run(folder, stored.layers_of_exits, criterion, threshold, exits)
    try:
        own = next((each.texts for each in OwnRows(options.task, options.root, split) if each.number == row), ())
    except DataError:  # the exits tell enough without the data
        own = ()
    for each in own:
        print(f"text: {shown(each, 400)}")
    _print(stored.asking(asked).select(position), rule, options.task.label_names, options.task.label_separator)


def _print(exits: StoredExits, rule: ExitPolicy, names: tuple[str, ...], separator: str) -> None:
    """Print a row an exit, and why the only sample leaves where it does."""
    kind, found = exits.target.kind, replay(rule.build(), exits)
    thresholds = at_exits(rule.threshold, exits.num_exits)

    def word(label: Tensor) -> str:
        if kind is Kind.MULTI_LABEL:
            return said(list(compress(names, label.tolist())), separator)
        return said(label.item() if kind is Kind.REGRESSION else names[int(label)], separator)

    leaves, label = found.at(rule.threshold)
    exit_layer = int(leaves.item())
    if exits.labels is not None:
        print(f"right label: {word(exits.labels[0])}")
    table = Table("exit", "layer", "says", "probability", "score", "")
    for number in range(1, exits.num_exits + 1):
        output, score = exits.output(number), found.scores[number - 1]
        threshold = thresholds[number - 1]
        is_reached, prediction = bool(reaches(score, threshold)), output.predictions[0]
        share = "" if kind is not Kind.SINGLE_LABEL else f"{output.probabilities[0, prediction].item():.4f}"
        compared = f"{'>=' if is_reached else '<'} {threshold:.4g}"
        where = "leaves here" if number == exit_layer else "stays" if number < exit_layer else "not run"
        table.add_row(
            str(number),
            str(exits.layers_of_exits[number - 1]),
            word(prediction),
            share,
            f"{score.item():.4g} {compared}",
            where,
        )
    Console(markup=False).print(table)
    is_reached = bool(reaches(found.scores[exit_layer - 1], thresholds[exit_layer - 1]))
    why = "its score reaches the threshold" if is_reached else "no score reaches the threshold"
    print(wrapped(f"{word(label[0])} at exit {exit_layer} of {exits.num_exits}, by {rule}: {why}", sys.stdout))
