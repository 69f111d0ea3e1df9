"""What the exits of a split say of each other, and where a criterion lets rows leave: ``diagnostics.json``."""

from collections.abc import Iterable, Mapping, Sequence
from math import isnan
from typing import Any

import torch
from torch import Tensor

from ee_lightning.exits import Criterion, Curve, Replay, StoredExits, replay
from ee_lightning.functional import (
    InformationSplit,
    Kind,
    aurocs,
    double_fault,
    information_bias,
    information_split,
    joint_states,
    late_correction,
    leaving_is_right,
    overthinking,
    pairwise_disagreement,
    q_statistic,
    same_rows,
    set_numbers,
)
from ee_lightning.runs.figures import NAMED_SPEEDUPS


def diagnose(exits: StoredExits, criteria: Sequence[Criterion], curves: Sequence[Curve]) -> dict[str, Any]:
    """Work out the figures of ``diagnostics.json`` from stored exits with labels, criteria and their curves.

    Returns:
        ``exit_histograms``, by criterion and named speed-up the slowest operating point that reaches it, as its
        ``threshold``, its own ``speedup`` and ``samples``, how many leave at each exit, or None where the curve does
        not reach. But for regression also ``overthinking`` and ``late_correction``, shares of the samples; and
        ``diversity``, by measure its ``matrix`` over all exits and its ``mean`` over pairs of different ones, None
        where there is only one exit; and by criterion ``leaving_auroc``, exit by exit how often its score ranks a
        sample for which no later exit would help above another, None where there are only such. Of several labels a
        sample every set of them counts as a class. For classes also
        ``information``, the terms of the split in bits less their ``bias``, which stands beside them, and the number of
        ``joint_states``; where these are not far below the samples, terms of all exits are None.

    Raises:
        DataError: Labels are missing or are no class numbers where these are needed.
    """
    by_name = {curve.criterion: curve for curve in curves}
    histograms, of_leaving = {}, {}
    for criterion in criteria:
        replayed = replay(criterion, exits)
        histograms[criterion.name] = {
            f"{speedup:g}x": _histogram(replayed, by_name[criterion.name], speedup)
            for speedup in NAMED_SPEEDUPS
            if speedup > 1
        }
        of_leaving[criterion.name] = _leaving_aurocs(replayed, exits)
    between = _between_exits(exits)
    return {**between, **({"leaving_auroc": of_leaving} if between else {}), "exit_histograms": histograms}


def _leaving_aurocs(replayed: Replay, exits: StoredExits) -> list[float | None]:
    if exits.target.kind is Kind.REGRESSION:
        return []
    right = torch.stack([same_rows(said, exits.known_labels()) for said in replayed.labels])  # [exits, samples]
    return [None if isnan(each) else each for each in aurocs(replayed.scores, leaving_is_right(right))]


def _between_exits(exits: StoredExits) -> dict[str, Any]:
    if exits.target.kind is Kind.REGRESSION:
        return {}
    if exits.target.kind is Kind.MULTI_LABEL:
        sets = torch.cat([exits.predictions, exits.label_sets().bool().unsqueeze(0)])  # [exits + 1, samples, labels]
        numbers, _ = set_numbers(sets)  # [exits + 1, samples]
        said, labels, information = numbers[:-1], numbers[-1], {}
    else:
        said, labels = exits.predictions, exits.class_numbers()  # [exits, samples], [samples]
        information = {"information": _information(said, labels)}
    return {
        "overthinking": overthinking(said, labels),
        "late_correction": late_correction(said, labels),
        "diversity": {
            "disagreement": _over_pairs(pairwise_disagreement(said)),
            "q_statistic": _over_pairs(q_statistic(said, labels)),
            "double_fault": _over_pairs(double_fault(said, labels)),
        },
        **information,
    }


SAMPLES_A_STATE = 10
"""From how many samples for each joint state on the information is split; with fewer the bias is large."""


def _information(said: Tensor, labels: Tensor) -> dict[str, Any]:
    bias, states = information_bias(said, labels), joint_states(said, labels)
    split = [plain - too_high for plain, too_high in zip(information_split(said, labels), bias, strict=True)]
    told = InformationSplit._fields if SAMPLES_A_STATE * states <= len(labels) else ("relevancy",)

    def tell(terms: Iterable[float]) -> dict[str, float | None]:
        return {
            name: term if name in told else None for name, term in zip(InformationSplit._fields, terms, strict=True)
        }

    return {**tell(split), "bias": tell(bias), "joint_states": states}


def diagnostic_scalars(diagnostics: Mapping[str, Any], stage: str) -> dict[str, float]:
    """Flatten what `diagnose` returns, for loggers, except matrices and histograms.

    The names are stable: ``<stage>/overthinking``, ``<stage>/late_correction``, ``<stage>/diversity/<measure>``, means
    over pairs of exits, and in bits ``<stage>/information/<term>`` and ``<stage>/information/<term>_bias``, which was
    taken off it. What is None is left out; for regression there is none of them, and of several labels a sample no
    information.
    """
    if "diversity" not in diagnostics:
        return {}
    flat = {name: diagnostics[name] for name in ("overthinking", "late_correction")}
    flat |= {f"diversity/{measure}": found["mean"] for measure, found in diagnostics["diversity"].items()}
    if "information" in diagnostics:
        found = diagnostics["information"]
        flat |= {f"information/{term}": found[term] for term in InformationSplit._fields}
        flat |= {f"information/{term}_bias": found["bias"][term] for term in InformationSplit._fields}
    return {f"{stage}/{name}": value for name, value in flat.items() if value is not None}


def _over_pairs(matrix: Tensor) -> dict[str, Any]:
    rows, columns = torch.triu_indices(len(matrix), len(matrix), offset=1)  # [pairs] each
    return {"mean": matrix[rows, columns].mean().item() if len(rows) > 0 else None, "matrix": matrix.tolist()}


def _histogram(decisions: Replay, curve: Curve, speedup: float) -> dict[str, Any] | None:
    reaches = curve.mean_exit <= curve.num_layers / speedup  # [points]
    if not reaches.any():
        return None
    slowest = int(reaches.int().argmax())
    threshold = curve.thresholds[slowest].item()
    exit_layer, _ = decisions.at(threshold)  # [samples]
    return {
        "threshold": threshold,
        "speedup": curve.speedup[slowest].item(),
        "samples": exit_layer.bincount(minlength=len(decisions.scores) + 1)[1:].tolist(),  # [exits]
    }
