"""Collects what every exit says of every sample of an evaluation, and scores it."""

from collections.abc import Sequence

import torch
from torch import Tensor, distributed

from ee_lightning.errors import DataError, TrainingDiverged
from ee_lightning.exits import StoredExits
from ee_lightning.exits.curve import statistics_of
from ee_lightning.exits.placement import Layers
from ee_lightning.functional import WITHOUT_CURVE, Kind, rank_score
from ee_lightning.models import MultiExitOutput

_OWN = {"logits", "labels", "ids"}


class ExitRecorder:
    """Collects the logits of all exits of a split batch by batch and joins them across processes.

    Samples that a sampler repeated to give each of several processes an equal share count once.
    """

    def __init__(self, split: str, kind: Kind, layers_of_exits: Layers = ()) -> None:
        self._split, self._kind, self._layers = split, kind, layers_of_exits
        self._batches: list[dict[str, Tensor]] = []
        self._joined: StoredExits | None = None

    def add(self, output: MultiExitOutput, labels: Tensor | None, ids: Tensor) -> None:
        """Record a batch: what all exits say of it, labels ``[batch(, labels)]`` or None, ids ``[batch]``."""
        batch = {"logits": output.logits.transpose(0, 1).float(), "ids": ids}  # logits [batch, exits, classes]
        batch |= {name: extra.transpose(0, 1).float() for name, extra in output.extras.items()}  # [batch, exits]
        if labels is not None:
            batch["labels"] = labels
        self._batches.append({name: tensor.detach().cpu() for name, tensor in batch.items()})
        self._joined = None

    def join(self) -> StoredExits:
        """Join the batches of all processes, ordered by id, on every process.

        Raises:
            TrainingDiverged: Logits are not finite.
            DataError: Rows share an id, although there is one process.
        """
        if self._joined is None:
            try:
                self._joined = self._join()
            except TrainingDiverged as error:
                where = f"{self._split} split, {error.where}"
                raise TrainingDiverged(error.what, where=where, hint=error.hint) from None
        return self._joined

    def _join(self) -> StoredExits:
        batches, is_shared = self._batches, distributed.is_available() and distributed.is_initialized()
        if is_shared:
            shares: list[list[dict[str, Tensor]]] = [[] for _ in range(distributed.get_world_size())]
            distributed.all_gather_object(shares, self._batches)
            batches = [batch for share in shares for batch in share]
        if not batches:
            raise ValueError("no batch was recorded")
        joined = {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}
        ids, first = _first_occurrences(joined["ids"])
        if len(ids) < len(joined["ids"]) and not is_shared:
            raise DataError(
                f"{len(joined['ids'])} rows have only {len(ids)} different ids",
                where=f"the batches of the {self._split} split",
                hint="give each row of a split a number of its own in batch['ids']: rows of the same number count once",
            )
        return StoredExits(
            logits=joined["logits"][first].transpose(0, 1).contiguous(),  # [exits, samples, classes]
            labels=joined["labels"][first] if "labels" in joined else None,  # [samples], or [samples, labels]
            ids=ids,
            extras={name: joined[name][first].T.contiguous() for name in joined.keys() - _OWN},  # [exits, samples]
            multi_label=self._kind is Kind.MULTI_LABEL,
            layers_of_exits=self._layers,
        )


def _first_occurrences(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distinct ids in ascending order, ``[samples]``, and where each first stands."""
    order = torch.argsort(ids, stable=True)  # [recorded]
    ordered = ids[order]  # [recorded]
    is_first = torch.ones_like(ordered, dtype=torch.bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    return ordered[is_first], order[is_first]


def exit_scores(exits: StoredExits, metrics: Sequence[str]) -> dict[str, list[float]]:
    """Score every exit as if all samples left there: for each metric, those without a curve too, one an exit.

    Raises:
        DataError: Labels are missing, or are no class numbers where these are needed.
    """
    statistics, everyone, kind = statistics_of(exits), torch.arange(exits.num_samples), exits.target.kind
    counts = torch.stack([statistics.tally(said, everyone).sum(0) for said in exits.predictions])  # [exits, statistics]

    def by_exit(name: str) -> list[float]:
        if name in WITHOUT_CURVE[kind]:
            return [rank_score(name, logits, exits.known_labels(), kind) for logits in exits.logits]
        return list(statistics.metric(name)(counts, statistics.actual).tolist())

    return {name: by_exit(name) for name in metrics}
