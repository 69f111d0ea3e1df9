"""How the internal classifiers are made; importing it loads no torch."""

from dataclasses import dataclass
from typing import Literal

from ee_lightning.errors import require_one_of, require_within
from ee_lightning.exits.placement import Layers, ascending, placed

_EXITS = "model.heads.exits"


@dataclass(frozen=True)
class HeadOptions:
    """Options of the internal classifiers.

    Attributes:
        exits: ``every`` puts an exit after every layer; ``last`` one after the last layer, the plain fine-tuned model
            that others are compared with; ``[3, 6, 9, 12]`` one after each of these layers, counted from 1. The last
            layer must be among them.
        pooling: ``cls`` takes the first token, ``mean`` the mean over the tokens (without padding). A mean-pooled
            sentence encoder needs ``mean``: with ``cls`` its early exits are no better than chance after a short
            fine-tuning. None takes what suits the backbone in training, and ``cls`` elsewhere.
        pooler: ``per_exit`` gives every exit a dense layer of its own, ``shared`` one to all of them, as PABEE does.
        dropout: Dropout before the linear layer, in [0, 1).
        gate: Add a gate, which learns how likely it is that a sample should go on to the next exit: true for one linear
            layer, shared by all exits (BERxiT, Xin et al. 2021); ``deep`` for three more layers before it, with tanh
            (PALBERT, Balagansky and Gavrilov 2022); ``per_exit`` for two layers of each exit's own, with 32 units
            between them, which find every exit as likely at first (ConsistentEE, Zeng et al. 2024). With most
            objectives it learns whether its exit is wrong. The criteria ``gate`` and ``q_exit`` use it.
        nsp: Let every exit also give the share of its feature that no logit sees (the null space projection of He
            2025), which costs no parameters; the criterion ``cap`` uses it. Such a model can't be exported.
    """

    exits: Literal["every", "last"] | tuple[int, ...] = "every"
    pooling: Literal["cls", "mean"] | None = None
    pooler: Literal["per_exit", "shared"] = "per_exit"
    dropout: float = 0.1
    gate: bool | Literal["deep", "per_exit"] = False
    nsp: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.exits, str):
            require_one_of(self.exits, ("every", "last"), _EXITS)
        else:
            object.__setattr__(self, "exits", ascending(self.exits, _EXITS))
        require_one_of(self.pooling or "cls", ("cls", "mean"), "model.heads.pooling")
        require_one_of(self.pooler, ("per_exit", "shared"), "model.heads.pooler")
        if isinstance(self.gate, str):
            require_one_of(self.gate, ("deep", "per_exit"), "model.heads.gate")
        require_within(self.dropout, "[0, 1)", "model.heads.dropout", "0.1 is the usual value")

    def layers_of_exits(self, num_layers: int) -> Layers:
        """Return after which layers the exits of a model of so many stand; an `OptionError` where they don't fit."""
        return placed(self.exits, num_layers, _EXITS)
