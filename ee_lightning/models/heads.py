"""The internal classifiers, one on each exit, and the gates beside them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from math import log
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from ee_lightning.exits import GATE, NSP
from ee_lightning.models.backbones import EncoderState
from ee_lightning.models.head_options import HeadOptions


class HeadOutput(NamedTuple):
    """What the head of one exit says of a batch, of the shapes that `MultiExitOutput` has for all."""

    logits: Tensor
    extras: Mapping[str, Tensor]


class ExitHeads(nn.Module):
    """Pool, dense, tanh, dropout, linear: one internal classifier for each exit.

    Attributes:
        layers_of_exits: The layer after which each exit stands, counted from 1.
    """

    def __init__(self, num_layers: int, hidden_size: int, num_classes: int, options: HeadOptions) -> None:
        super().__init__()
        self.options = replace(options, pooling=options.pooling or "cls")
        self.layers_of_exits = options.layers_of_exits(num_layers)
        num_exits = len(self.layers_of_exits)
        num_poolers = num_exits if options.pooler == "per_exit" else 1
        self.poolers = nn.ModuleList(nn.Linear(hidden_size, hidden_size) for _ in range(num_poolers))
        self.dropouts = nn.ModuleList(nn.Dropout(options.dropout) for _ in range(num_exits))
        self.classifiers = nn.ModuleList(nn.Linear(hidden_size, num_classes) for _ in range(num_exits))
        self.gates = nn.ModuleList(_gates(options, hidden_size, num_exits))
        for linear in [module for module in self.modules() if isinstance(module, nn.Linear)]:
            nn.init.normal_(linear.weight, std=0.02)  # as BERT initialises its own
            nn.init.zeros_(linear.bias)
        if options.gate == "per_exit":
            for remaining, gate in enumerate(reversed([*self.gates])):  # every exit is as likely at first
                last = cast(nn.Linear, cast(nn.Sequential, gate)[-1])
                nn.init.constant_(last.bias, log(max(remaining, 1)))

    def forward(self, exit_layer: int, state: EncoderState) -> HeadOutput:
        """Classify at the exit ``exit_layer`` (1-based)."""
        return self.classify(exit_layer, self.pool(state))

    def classify(self, exit_layer: int, pooled: Tensor) -> HeadOutput:
        """Classify what was pooled, ``[batch, width]``, at the exit ``exit_layer`` (1-based).

        In mixed precision an exit works in float32, which costs next to nothing: in bfloat16 many rows share a score.
        """
        device = pooled.device.type
        if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
            with torch.autocast(device, enabled=False):
                return self.classify(exit_layer, pooled.float())
        pooled = torch.tanh(_of(self.poolers, exit_layer)(pooled))  # [batch, width]
        dropout = self.dropouts[exit_layer - 1]
        logits = self.classifiers[exit_layer - 1](dropout(pooled) if dropout.training else pooled)  # [batch, classes]
        extras = {GATE: _of(self.gates, exit_layer)(pooled).squeeze(-1).sigmoid()} if self.gates else {}  # [batch]
        if self.options.nsp:
            extras[NSP] = unseen_share(pooled.detach(), cast(nn.Linear, self.classifiers[exit_layer - 1]))  # [batch]
        return HeadOutput(logits, extras)

    @property
    def extras(self) -> tuple[str, ...]:
        """The names of what the exits give beside their logits."""
        return (*((GATE,) if self.gates else ()), *((NSP,) if self.options.nsp else ()))

    def of_last_exit(self) -> Iterable[nn.Module]:
        """Return what the last exit uses; a shared pooler is the last exit's."""
        return (self.poolers[-1], self.dropouts[-1], self.classifiers[-1])

    def of_early_exits(self) -> Iterable[nn.Module]:
        """Return what only the other exits use, but for gates."""
        return (*self.poolers[:-1], *self.dropouts[:-1], *self.classifiers[:-1])

    def share(self, other: "ExitHeads", exits: Sequence[int]) -> None:
        """Take the modules of some exits of others, numbered from 1, for these exits."""
        places = [number - 1 for number in exits]
        self.poolers, self.gates = _at(other.poolers, places), _at(other.gates, places)
        self.dropouts, self.classifiers = _at(other.dropouts, places), _at(other.classifiers, places)

    def pool(self, state: EncoderState) -> Tensor:
        """Return what an exit sees of a state, ``[batch, width]``."""
        if self.options.pooling == "cls":
            return state.hidden[:, 0]  # [batch, width]
        if state.attention_mask is None:
            return state.hidden.sum(1) / state.hidden.shape[1]  # [batch, width]; faster than torch's mean
        mask = state.padding_mask.to(state.hidden.dtype)  # [batch, length]
        total = torch.bmm(mask.unsqueeze(1), state.hidden).squeeze(1)  # [batch, width]
        return total / mask.sum(1, keepdim=True)  # [batch, width]


def unseen_share(pooled: Tensor, classifier: nn.Linear) -> Tensor:
    r"""Return the share of each feature that no logit sees, :math:`\sqrt{1 - |P h|^2 / |h|^2}`, ``[batch]``.

    P projects on the rows of the classifier's weights, and the origin of the features h is moved so that the bias is 0
    (the null space projection of He 2025). No gradient flows through the weights.

    Args:
        pooled: The features, ``[batch, width]``.
        classifier: Their linear layer.
    """
    weight = classifier.weight.detach()  # [classes, width]
    inverse = torch.linalg.pinv(weight)  # [width, classes]
    moved = pooled + inverse @ classifier.bias.detach()  # [batch, width]
    seen = moved @ weight.T @ inverse.T  # [batch, width]
    share: Tensor = (1 - seen.square().sum(-1) / moved.square().sum(-1)).clamp(0, 1).sqrt()
    return share


def _gates(options: HeadOptions, hidden_size: int, num_exits: int) -> Iterator[nn.Module]:
    if options.gate == "per_exit":
        for _ in range(num_exits):
            yield nn.Sequential(nn.Linear(hidden_size, 32), nn.GELU(), nn.Linear(32, 1))
    elif options.gate == "deep":
        layers = [(nn.Linear(hidden_size, hidden_size), nn.Tanh()) for _ in range(3)]
        yield nn.Sequential(*chain.from_iterable(layers), nn.Linear(hidden_size, 1))
    elif options.gate:
        yield nn.Linear(hidden_size, 1)


def _of(modules: nn.ModuleList, exit_layer: int) -> nn.Module:
    """Return the module of an exit, 1-based, which may be shared by all."""
    return modules[exit_layer - 1 if len(modules) > 1 else 0]


def _at(modules: nn.ModuleList, places: Sequence[int]) -> nn.ModuleList:
    """Return the modules at some places; all where the exits share one or have none."""
    return modules if len(modules) < 2 else nn.ModuleList(modules[place] for place in places)
