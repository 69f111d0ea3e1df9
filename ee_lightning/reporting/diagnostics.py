"""What a run's exits do beside each other: whether they differ, whether that helps, and who leaves where."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ee_lightning.exits import Criterion, Curve, Replay, StoredExits, replay
from ee_lightning.functional import (
    InformationSplit,
    Kind,
    double_fault,
    information_bias,
    information_split,
    late_correction,
    overthinking,
    pairwise_disagreement,
    q_statistic,
    set_numbers,
)
from ee_lightning.reporting.summary import NAMED_SPEEDUPS


def diagnose(exits: StoredExits, criteria: Sequence[Criterion], curves: Sequence[Curve]) -> dict[str, Any]:
    """Work out the figures of ``diagnostics.json``.

    Args:
        exits: The stored outputs of all exits, with labels.
        criteria: The exit criteria, without the oracle and the fixed exits.
        curves: Their curves on these exits, in any order; there may be others among them.

    Returns:
        ``exit_histograms``, by criterion and named speed-up the slowest operating point that reaches it, as its
        ``threshold``, its own ``speedup`` and ``samples``, how many leave at each exit, or None where the curve does
        not reach. But for regression also ``overthinking`` and ``late_correction``, shares of the samples; and
        ``diversity``, by measure its ``matrix`` over all exits and its ``mean`` over pairs of different ones, None
        where there is only one exit. Of several labels a sample every set of them counts as a class. For classes also
        ``information``, the terms of the split and their ``bias`` in bits: of sets there are too many to estimate it.

    Raises:
        DataError: Labels are missing or are no class numbers where these are needed.
    """
    by_name = {curve.criterion: curve for curve in curves}
    histograms = {criterion.name: _histograms(criterion, by_name[criterion.name], exits) for criterion in criteria}
    return {**_between_exits(exits), "exit_histograms": histograms}


def _between_exits(exits: StoredExits) -> dict[str, Any]:
    if exits.kind is Kind.REGRESSION:
        return {}
    if exits.kind is Kind.MULTI_LABEL:
        sets = torch.cat([exits.predictions, exits.label_sets().bool().unsqueeze(0)])  # [exits + 1, samples, labels]
        numbers, _ = set_numbers(sets)  # [exits + 1, samples]
        return _diversity(numbers[:-1], numbers[-1])
    predictions, labels = exits.predictions, exits.class_numbers()
    return {**_diversity(predictions, labels), "information": _information(predictions, labels)}


def _diversity(predictions: Tensor, labels: Tensor) -> dict[str, Any]:
    """Compare what the exits predict, ``[exits, samples]``, with the labels ``[samples]`` and with each other."""
    return {
        "overthinking": overthinking(predictions, labels),
        "late_correction": late_correction(predictions, labels),
        "diversity": {
            "disagreement": _over_pairs(pairwise_disagreement(predictions)),
            "q_statistic": _over_pairs(q_statistic(predictions, labels)),
            "double_fault": _over_pairs(double_fault(predictions, labels)),
        },
    }


def _information(predictions: Tensor, labels: Tensor) -> dict[str, Any]:
    return {
        **information_split(predictions, labels)._asdict(),
        "bias": information_bias(predictions, labels)._asdict(),
    }


def diagnostic_scalars(diagnostics: Mapping[str, Any], stage: str) -> dict[str, float]:
    """Flatten what `diagnose` gives for loggers, but for matrices, histograms and biases.

    The names are stable: ``<stage>/overthinking``, ``<stage>/late_correction``, ``<stage>/diversity/<measure>``, means
    over pairs of exits, and ``<stage>/information/<term>`` in bits. Means over no pair are left out; for regression
    there is none of them, and of several labels a sample no information.
    """
    if "diversity" not in diagnostics:
        return {}
    flat = {name: diagnostics[name] for name in ("overthinking", "late_correction")}
    flat |= {f"diversity/{measure}": found["mean"] for measure, found in diagnostics["diversity"].items()}
    if "information" in diagnostics:
        flat |= {f"information/{term}": diagnostics["information"][term] for term in InformationSplit._fields}
    return {f"{stage}/{name}": value for name, value in flat.items() if value is not None}


def _over_pairs(matrix: Tensor) -> dict[str, Any]:
    rows, columns = torch.triu_indices(len(matrix), len(matrix), offset=1)  # [pairs] each
    return {"mean": matrix[rows, columns].mean().item() if len(rows) > 0 else None, "matrix": matrix.tolist()}


def _histograms(criterion: Criterion, curve: Curve, exits: StoredExits) -> dict[str, dict[str, Any] | None]:
    decisions = replay(criterion, exits)
    return {f"{speedup:g}x": _histogram(decisions, curve, speedup) for speedup in NAMED_SPEEDUPS if speedup > 1}


def _histogram(decisions: Replay, curve: Curve, speedup: float) -> dict[str, Any] | None:
    reaches = curve.mean_exit <= curve.num_exits / speedup  # [points]
    if not reaches.any():
        return None
    slowest = int(reaches.int().argmax())
    threshold = curve.thresholds[slowest].item()
    exit_layer, _ = decisions.at(threshold)  # [samples]
    return {
        "threshold": threshold,
        "speedup": curve.speedup[slowest].item(),
        "samples": exit_layer.bincount(minlength=curve.num_exits + 1)[1:].tolist(),  # [exits]
    }
