"""The multi-exit model: a backbone with internal classifiers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Literal, NamedTuple, Self

import torch
from torch import Tensor, nn

from ee_lightning.exits.placement import Layers, numbers_of
from ee_lightning.functional import Target, scale_gradient
from ee_lightning.models.backbones import Backbone
from ee_lightning.models.head_options import HeadOptions
from ee_lightning.models.heads import ExitHeads

Part = Literal["backbone", "last_exit", "early_exits", "gates"]
"""What a stage of training may train or leave alone."""


class MultiExitOutput(NamedTuple):
    """What all exits say of a batch.

    Attributes:
        logits: ``[exits, batch, classes]``; for regression the predicted values, ``[exits, batch, 1]``; of several
            labels a sample ``[exits, batch, labels]``.
        extras: What else the exits give, by name, ``[exits, batch]`` each: ``gate``, how likely it is that a sample
            should go on, and ``nsp``, the share of its feature that no logit sees, where the heads have them.
    """

    logits: Tensor
    extras: Mapping[str, Tensor] = MappingProxyType({})


class MultiExitModel(nn.Module):
    """A backbone with internal classifiers after some of its layers, the last one among them."""

    def __init__(self, backbone: Backbone, target: Target, heads: HeadOptions) -> None:
        super().__init__()
        self.backbone = backbone
        self.target = target
        self.heads = ExitHeads(backbone.num_layers, backbone.hidden_size, target.num_classes, heads)

    @property
    def layers_of_exits(self) -> Layers:
        """The layer after which each exit stands, counted from 1."""
        return self.heads.layers_of_exits

    @property
    def num_exits(self) -> int:
        """Number of exits."""
        return len(self.layers_of_exits)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        *,
        gradient_equilibrium: bool = False,
        separate_exits: bool = False,
    ) -> MultiExitOutput:
        """Run all layers and all exits.

        Args:
            input_ids: Token ids, ``[batch, length]``.
            attention_mask: 1 for tokens and 0 for padding, ``[batch, length]``.
            token_type_ids: Sentence of each token where the family knows them, ``[batch, length]``.
            gradient_equilibrium: Let the exits after a layer send it the mean of their gradients instead of the sum
                (Li et al. 2019; ElasticBERT): at exit m of M the gradient is scaled by 1 / (M - m + 1), and what comes
                from the deeper layers by M - m before.
            separate_exits: Let each layer learn from the next exit alone: after an exit the hidden state is a constant
                for the gradient (Rotem et al. 2023).
        """
        state = self.backbone.embed(input_ids, attention_mask, token_type_ids)
        outputs = []
        for layer in range(1, self.backbone.num_layers + 1):
            state = self.backbone.layer(layer - 1, state)
            if (exit_layer := self.exit_after(layer)) == 0:
                continue
            if gradient_equilibrium:
                state = replace(state, hidden=scale_gradient(state.hidden, 1 / (self.num_exits - exit_layer + 1)))
            outputs.append(self.heads(exit_layer, state))
            if separate_exits:
                state = replace(state, hidden=state.hidden.detach())
            if gradient_equilibrium:
                state = replace(state, hidden=scale_gradient(state.hidden, self.num_exits - exit_layer))
        return MultiExitOutput(
            torch.stack([output.logits for output in outputs]),  # [exits, batch, classes]
            {name: torch.stack([output.extras[name] for output in outputs]) for name in self.heads.extras},
        )

    def exit_after(self, layer: int) -> int:
        """Return the number of the exit after a layer, both counted from 1; 0 where there is none."""
        return self.layers_of_exits.index(layer) + 1 if layer in self.layers_of_exits else 0

    def asking(self, layers: Sequence[int]) -> Self:
        """Return a model of the same modules that has the exits after some layers only.

        Raises:
            OptionError: The model lacks such an exit, or the last one is not asked.
        """
        if tuple(layers) == self.layers_of_exits:
            return self
        exits = numbers_of(layers, self.layers_of_exits, "--exits")
        with torch.device("meta"):  # where heads that are replaced cost nothing
            asked = type(self)(self.backbone, self.target, replace(self.heads.options, exits=tuple(layers)))
        asked.heads.share(self.heads, exits)
        return asked.train(self.training)

    def part(self, name: Part) -> Iterable[nn.Module]:
        """Return the modules of a part; together the parts hold every parameter, and each one once."""
        if name == "backbone":
            return (self.backbone,)
        if name == "gates":
            return (self.heads.gates,)
        return self.heads.of_last_exit() if name == "last_exit" else self.heads.of_early_exits()
