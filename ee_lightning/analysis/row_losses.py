"""What each sample loses by leaving early, at every operating point, against the full model."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ee_lightning.exits import Replay, StoredExits
from ee_lightning.functional import Kind, operating_points, same_rows

OF_SHARES = ("spoilt", "differing")
"""The losses of 0 or 1."""
_BLOCK = 2**20
"""How many losses are worked out at a time."""


def losses_by_exit(loss: str, replayed: Replay, exits: StoredExits) -> Tensor:
    """Return what every sample loses by leaving at each exit, and then by never leaving early.

    Probabilities are those of the exit, also where a criterion predicts another class, and of several labels a sample
    their losses' mean.

    Args:
        loss: ``spoilt``, 1 where the full model is right and the early exit wrong, else 0; ``net``, that less 1 where
            only the early exit is right; ``differing``, 1 where it has another label than the full model; ``brier``,
            half the squared distance from the label, less the full model's, between -1 and 1; ``hellinger``, the
            Hellinger distance from the full model's probabilities, between 0 and 1.
        replayed: All decisions of the criterion.
        exits: The stored exits, with labels.

    Returns:
        In float64, of shape [exits + 1, samples].
    """
    if loss in ("brier", "hellinger"):
        every = [exits.output(exit_layer).probabilities for exit_layer in range(1, exits.num_exits + 1)]
        probabilities = torch.stack([*every, every[-1]]).double()  # [exits + 1, samples, (labels,) classes]
        if loss == "hellinger":
            away = (probabilities.sqrt() - probabilities[-1].sqrt()).square().sum(-1) / 2
            return _over_labels(away.clamp_max(1).sqrt())
        true = exits.label_sets() if exits.target.kind is Kind.MULTI_LABEL else exits.class_numbers()
        off = probabilities - torch.nn.functional.one_hot(true.long(), probabilities.shape[-1])
        brier = _over_labels(off.square().sum(-1) / 2)
        return brier - brier[-1]
    said = torch.cat([replayed.labels, replayed.fallback.unsqueeze(0)])  # [exits + 1, samples] or with [..., labels]
    full = exits.predictions[-1]
    if loss == "differing":
        return torch.stack([~same_rows(each, full) for each in said]).double()
    is_right = torch.stack([same_rows(each, exits.known_labels()) for each in said]).double()  # [exits + 1, samples]
    net = same_rows(full, exits.known_labels()).double() - is_right
    return net.clamp_min(0) if loss == "spoilt" else net


def _over_labels(values: Tensor) -> Tensor:
    return values.mean(-1) if values.ndim == 3 else values


def totals(by_exit: Tensor, scores: Tensor) -> Tensor:
    """Add up what all samples lose at every operating point, from slow to fast.

    Args:
        by_exit: What `losses_by_exit` returns, of shape [exits + 1, samples].
        scores: Of the criterion, of shape [exits, samples].

    Returns:
        Of shape [points].
    """
    places = torch.arange(len(by_exit)).unsqueeze(1).expand_as(by_exit)  # [exits + 1, samples]

    def lost(left_at: Tensor, samples: Tensor) -> Tensor:
        return by_exit[left_at, samples].unsqueeze(-1)  # [events, 1]

    return operating_points(scores, places[:-1], places[-1], lost).counts.squeeze(-1)


def highest(by_exit: Tensor, scores: Tensor) -> Tensor:
    """Return what each sample loses at most by leaving at an exit or at any to which a higher threshold takes it.

    Arguments are those of `totals`; of shape [exits + 1, samples].
    """
    best = scores.double().cummax(0).values  # [exits, samples]
    before = torch.cat([torch.full_like(best[:1], -torch.inf), best[:-1]])
    is_reached = torch.cat([best > before, torch.ones_like(best[:1]).bool()])  # [exits + 1, samples], at some threshold
    return by_exit.masked_fill(~is_reached, -torch.inf).flip(0).cummax(0).values.flip(0)


def in_blocks(by_exit: Tensor, scores: Tensor, thresholds: Tensor) -> Iterator[Tensor]:
    """Work out what every sample loses at each threshold, some thresholds at a time.

    Args:
        by_exit: What `losses_by_exit` returns, of shape [exits + 1, samples].
        scores: Of the criterion, of shape [exits, samples].
        thresholds: Of shape [points].

    Yields:
        Of the next thresholds, of shape [some points, samples].
    """
    best, of_sample = scores.double().cummax(0).values.T.contiguous(), by_exit.T.contiguous()  # [samples, ...] each
    size = max(1, _BLOCK // len(best))
    for start in range(0, len(thresholds), size):
        some = thresholds[start : start + size]
        left_at = torch.searchsorted(best, some.expand(len(best), -1).contiguous())  # [samples, some points]
        yield of_sample.gather(1, left_at).T
