"""What all exits of a model say of samples, whatever runs it."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ee_lightning.exits import StoredExits
from ee_lightning.exits.placement import Layers
from ee_lightning.functional import Kind, host
from ee_lightning.inference.batches import Sample, pad_samples
from ee_lightning.inference.descent import Backend

_AT_ONCE = 16


def exits_of(
    backend: Backend, layers_of_exits: Layers, samples: Sequence[Sample], fills: Mapping[str, int]
) -> StoredExits:
    """Return what all exits say of samples, in their order; those of similar length are run together.

    Args:
        backend: Runs the model.
        layers_of_exits: The layer after which each exit stands.
        samples: The samples, at least one.
        fills: What fills ``input_ids`` and ``token_type_ids``.
    """
    order = sorted(range(len(samples)), key=lambda place: len(samples[place].input_ids))
    logits = list[Tensor]()
    extras: dict[str, list[Tensor]] = {name: [] for name in backend.extras}
    for start in range(0, len(order), _AT_ONCE):
        batch = pad_samples([samples[place] for place in order[start : start + _AT_ONCE]], fills)
        said = _said(backend, batch)
        logits.append(torch.stack([of_exit for of_exit, _ in said]))  # [exits, batch, classes]
        for name, of_extra in extras.items():
            of_extra.append(torch.stack([more[name] for _, more in said]))  # [exits, batch]
    back = torch.tensor(order).argsort()  # [samples]
    return StoredExits(
        logits=torch.cat(logits, 1)[:, back],  # [exits, samples, classes]
        labels=None,
        ids=torch.arange(len(samples)),
        extras={name: torch.cat(of_extra, 1)[:, back] for name, of_extra in extras.items()},  # [exits, samples] each
        multi_label=backend.target.kind is Kind.MULTI_LABEL,
        layers_of_exits=layers_of_exits,
    )


def _said(backend: Backend, batch: Any) -> list[tuple[Tensor, dict[str, Tensor]]]:
    """Return what each exit says of a batch: logits, ``[batch, classes]``, and extras, ``[batch]`` each."""
    said = list[tuple[Tensor, dict[str, Tensor]]]()
    with backend.running():
        state = backend.embed(batch, is_padded=True)
        for layer in range(1, backend.num_layers + 1):
            state = backend.layer(layer, state)
            if (number := backend.exit_after(layer)) > 0:
                logits, extras = backend.exit(number, [state])
                there = {name: torch.from_numpy(host(extra)) for name, extra in extras.items()}
                said.append((torch.from_numpy(host(logits)), there))
    return said
