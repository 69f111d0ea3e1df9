"""What a page holds of a run, as its scripts read it."""

from collections.abc import Iterator, Mapping, Sequence
from shlex import quote
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ee_lightning.analysis.sweep import Sweep, named, sweep_exits
from ee_lightning.analysis.verdict import verdict
from ee_lightning.errors import RunFolderError
from ee_lightning.exits import Criterion, Curve, StoredExits, replay
from ee_lightning.exits.drawing import alike
from ee_lightning.exits.threshold import in_words
from ee_lightning.functional import Kind, reliability, same_rows
from ee_lightning.reporting.page.data_rows import LONGEST_TEXT, costs_of, texts_of
from ee_lightning.reporting.page.packing import finite, packed, packed_counts
from ee_lightning.reporting.writing import chosen_in
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.load_run import RunOptions

KINDS = {Kind.SINGLE_LABEL: "classes", Kind.MULTI_LABEL: "labels", Kind.REGRESSION: "values"}
MOST_CLASSES_SHOWN = 6


def split_of(folder: RunFolder, asked: str | None) -> str:
    """Return the split to show: the one that is asked for, else the validation split, or the only one there is."""
    stored = folder.stored_splits()
    if asked is None:
        return "validation" if "validation" in stored else stored[0]
    if asked not in stored:
        what = f"the exits of the split {asked!r} are not stored here"
        raise RunFolderError(what, where=folder.path, hint=f"name one of {', '.join(stored)} in --split")
    return asked


def sweep_of(folder: RunFolder, split: str) -> tuple[Sweep, list[str]]:
    """Trace the criteria of a run on a split again, with bands; and name those that can't be computed again."""
    exits, calibration, figures = folder.read_exits(split), folder.read_calibration(), folder.read_figures(split)
    criteria, unknown = named(list(figures["criteria"]), exits, calibration)
    found = sweep_exits(
        criteria,
        exits,
        calibration,
        split=split,
        task=figures["task"],
        metrics=list(figures["full_model"]),
        checkpoint=figures.get("checkpoint"),
    )
    return found, unknown


def view_of(folder: RunFolder, name: str, found: Sweep, unknown: Sequence[str], most_rows: int) -> dict[str, Any]:
    """Return what a page holds of a run.

    Args:
        folder: The run folder.
        name: What the page calls it.
        found: What `sweep_of` found.
        unknown: Names of criteria that the page lacks.
        most_rows: Of more rows so many are drawn for the explorer.
    """
    exits, options = found.exits, RunOptions.read(folder)
    notes = [f"The criterion {each} is not shown: its class can't be made here." for each in unknown]
    said = _Said(exits)
    curves = [curve.telling() for curve in found.banded_curves[: len(found.criteria)]]
    criteria = [_criterion(*each, exits, said) for each in zip(curves, found.criteria, strict=True)]
    costs = costs_of(options, exits, found.split)
    if isinstance(costs, str):
        notes.append(f"Floating-point operations are not known: {costs}.")
    explorer = _explorer(folder, options, found, most_rows)
    if reason := explorer.pop("reason"):
        notes.append(f"The page holds no texts: {reason}.")
    summary, chosen = found.summary, _chosen(folder, found)
    return {
        "name": name,
        "folder": str(folder.path),
        "task": summary["task"],
        "split": found.split,
        "kind": KINDS[exits.target.kind],
        "samples": exits.num_samples,
        "total": exits.rows.total,
        "drawn": exits.rows.is_drawn,
        "backbone": options.backbone,
        "verdict": verdict(found, chosen["words"] if chosen else None),
        "metrics": list(found.curves[0].scores) if found.curves else [],
        "labelNames": [*map(str, options.task.label_names)] or [str(each) for each in range(exits.num_classes)],
        "layers": list(exits.layers_of_exits),
        "truth": said.truth,
        "sets": said.sets,
        "predictions": said.predictions,
        "exitScores": summary["exits"],
        "oracle": summary["oracle"],
        "criteria": criteria,
        "alike": alike(found.curves[: len(criteria)], summary["metrics"][0]),
        "chosen": chosen,
        "clock": _clock(folder, found.split),
        "flops": None
        if isinstance(costs, str)
        else {
            "lengths": packed_counts(costs.lengths),
            "known": costs.known.tolist(),
            "until": packed(costs.until, "f8"),
            "full": packed(costs.full, "f8"),
        },
        "rows": explorer,
        "calibration": _calibration(exits),
        **_differences(found.diagnostics),
        "config": folder.config.read_text(encoding="utf-8"),
        "commands": _commands(folder, options.adapter, found.split, exits),
        "notes": notes,
    }


class _Said:
    """What the exits predict, as whole numbers: classes, or sets of labels; or as values."""

    def __init__(self, exits: StoredExits) -> None:
        self._kind, self._plain = exits.target.kind, exits.predictions
        self._known: dict[tuple[bool, ...], int] = {}
        is_set = self._kind is Kind.MULTI_LABEL
        self.predictions, self.truth = (
            self.pack(self._plain),
            self.pack(exits.label_sets().bool() if is_set else exits.known_labels()),
        )

    @property
    def sets(self) -> list[list[int]] | None:
        """The labels of each set that was packed, by its number; None where samples have no sets of them."""
        if self._kind is not Kind.MULTI_LABEL:
            return None
        return [[place for place, there in enumerate(each) if there] for each in self._known]

    def pack(self, labels: Tensor) -> dict[str, str]:
        """Pack predictions or labels, of any number of samples."""
        if self._kind is Kind.REGRESSION:
            return packed(labels, "f4")
        if self._kind is Kind.SINGLE_LABEL:
            return packed_counts(labels)
        every = map(tuple, labels.flatten(0, -2).tolist())  # labels: [..., samples, labels]
        return packed_counts([self._known.setdefault(each, len(self._known)) for each in every])

    def differs(self, labels: Tensor) -> bool:
        """Return whether labels, of every exit, are other ones than the exits' own."""
        return not torch.equal(labels, self._plain)


def _criterion(curve: Curve, criterion: Criterion, exits: StoredExits, said: _Said) -> dict[str, Any]:
    """Return a criterion's curve, and for every row and exit the first of its points at which the row leaves there.

    It is the number of points where the row leaves there at none.
    """
    found = replay(criterion, exits)
    thresholds = curve.thresholds.numpy()  # [points], descending
    scores = found.scores.double().numpy()  # [exits, samples]
    point = np.searchsorted(-thresholds, -scores.ravel()).reshape(scores.shape)  # [exits, samples]
    is_own, last = said.differs(found.labels), found.labels[-1]
    return {
        "name": criterion.name,
        "thresholds": [finite(each) for each in thresholds.tolist()],
        "layers": packed(curve.mean_exit, "f8"),
        "scores": {name: packed(score, "f8") for name, score in curve.scores.items()},
        "bands": {name: [packed(end, "f4") for end in ends] for name, ends in curve.bands.items()},
        "leavesFrom": packed_counts(point),
        "says": said.pack(found.labels) if is_own else None,
        "fallback": said.pack(found.fallback) if is_own or not torch.equal(found.fallback, last) else None,
    }


def _explorer(folder: RunFolder, options: RunOptions, found: Sweep, most_rows: int) -> dict[str, Any]:
    """Return the rows that can be looked at one by one, with their texts, probabilities and scores."""
    exits = found.exits
    at = np.arange(exits.num_samples)
    if len(at) > most_rows:
        at = np.sort(np.random.default_rng(0).choice(at, most_rows, replace=False))
    drawn = exits.select(torch.from_numpy(at))
    texts = texts_of(folder, options, drawn.ids.tolist(), found.split)
    classes, probabilities = _likeliest(drawn)
    return {
        "at": packed_counts(at),
        "ids": drawn.ids.tolist(),
        "texts": None if isinstance(texts, str) else [[_short(text) for text in both] for both in texts],
        "reason": texts if isinstance(texts, str) else None,
        "longest": LONGEST_TEXT,
        "classes": None if classes is None else packed_counts(classes),
        "shown": 0 if classes is None else classes.shape[1],
        "probabilities": None if probabilities is None else packed(np.round(10_000 * probabilities), "u2"),
        "scores": [packed(replay(each, drawn).scores, "f4") for each in found.criteria],
    }


def _likeliest(drawn: StoredExits) -> tuple[np.ndarray, np.ndarray] | tuple[None, None]:
    """Return each row's likeliest classes over all exits, the right ones among them, and their probabilities.

    Returns:
        Classes, of shape [rows, shown], and probabilities, of shape [exits, rows, shown]; None for regression.
    """
    kind = drawn.target.kind
    if kind is Kind.REGRESSION:
        return None, None
    logits = drawn.logits.double()  # [exits, rows, classes]
    probabilities = logits.sigmoid() if kind is Kind.MULTI_LABEL else logits.softmax(-1)
    shown = min(MOST_CLASSES_SHOWN, drawn.num_classes)
    rank = probabilities.mean(0)  # [rows, classes]
    if kind is Kind.MULTI_LABEL:
        rank = rank + drawn.label_sets()
    else:
        rank = rank.scatter(1, drawn.class_numbers().unsqueeze(1), 2.0)
    classes = rank.topk(shown).indices.sort(-1).values  # [rows, shown]
    of_shown = probabilities.gather(2, classes.expand(drawn.num_exits, -1, -1))  # [exits, rows, shown]
    return classes.numpy(), of_shown.numpy()


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} …"


def _chosen(folder: RunFolder, found: Sweep) -> dict[str, Any] | None:
    """Return the run's operating point, if one of its criteria has it with one threshold for all exits."""
    chosen = chosen_in(folder, found.exits.layers_of_exits)
    if chosen is None or chosen[0] not in [each.name for each in found.criteria]:
        return None
    name, threshold = chosen
    return {"criterion": name, "threshold": threshold, "words": f"{name} at {in_words(threshold)}"}


def _clock(folder: RunFolder, split: str) -> list[dict[str, Any]]:
    """Return what was measured on the clock at thresholds that all exits share."""
    return [
        {
            "criterion": each.criterion,
            "threshold": finite(each.threshold),
            "batch": each.batch_size,
            "layers": each.layer_speedup,
            "speedup": each.wall_speedup,
            "conditions": each.conditions,
        }
        for each in folder.read_speed().get(split, [])
        if isinstance(each.threshold, float)
    ]


def _calibration(exits: StoredExits) -> list[dict[str, Any]] | None:
    """Return how sure the exits are beside how often they are right; None where they predict no classes."""
    if exits.target.kind is not Kind.SINGLE_LABEL:
        return None
    return [*_of_exits(exits)]


def _of_exits(exits: StoredExits) -> Iterator[dict[str, Any]]:
    labels = exits.class_numbers()
    for logits in exits.logits.double():
        probabilities = logits.softmax(-1)  # [samples, classes]
        confidence, said = probabilities.max(-1)
        right = same_rows(said, labels)
        found = reliability(confidence, right)
        yield {
            "error": found.error,
            "confidence": confidence.mean().item(),
            "accuracy": right.double().mean().item(),
            "bins": [
                [int(count), mean, share]
                for count, mean, share in zip(*(each.tolist() for each in found), strict=True)
                if count
            ],
        }


def _differences(diagnostics: Mapping[str, Any]) -> dict[str, Any]:
    if "diversity" not in diagnostics:
        return {"diversity": None, "leaving": {}, "overthinking": None, "lateCorrection": None}
    return {
        "diversity": {
            measure: [[finite(each) for each in line] for line in found["matrix"]]
            for measure, found in diagnostics["diversity"].items()
        },
        "leaving": diagnostics["leaving_auroc"],
        "overthinking": diagnostics["overthinking"],
        "lateCorrection": diagnostics["late_correction"],
    }


def _commands(folder: RunFolder, adapter: str | None, split: str, exits: StoredExits) -> list[tuple[str, str]]:
    """Return commands that make the run's results again, and what each does."""
    path, config = quote(str(folder.path)), quote(str(folder.config))
    commands = [("train again", f"ee-lightning fit --config {config}")]
    if checkpoints := [each for each in folder.swept_checkpoints() if each.is_file()]:
        stage = "test" if split == "test" else "validate"
        weights = quote(str(checkpoints[0]))
        commands.append(("evaluate again", f"ee-lightning {stage} --config {config} --ckpt_path {weights}"))
    commands.append(("compare every criterion", f"ee-lightning curves {path}"))
    if exits.num_exits > 1 and exits.target.kind is not Kind.REGRESSION:
        commands.append(("choose a threshold", f"ee-lightning choose {path} --criterion confidence --min-speedup 2"))
    own = "" if adapter is None else f" --adapter {adapter}"
    return [*commands, ("write this page", f"ee-lightning report {path}{own}")]
