"""Leave when a score reaches a threshold that differs from exit to exit, as a budget has it."""

from collections.abc import Mapping
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np
from array_api_compat import device
from typing_extensions import override

from ee_lightning.errors import OptionError, counted, require_one_of
from ee_lightning.exits.criterion import Decision, ExitOutput, State
from ee_lightning.exits.fitted import NUM_EXITS, Fitted, Parameters
from ee_lightning.exits.naming import spec_of
from ee_lightning.exits.oracle import Oracle
from ee_lightning.exits.threshold import Threshold
from ee_lightning.functional import Array, Device, Kind, at_least, namespace

if TYPE_CHECKING:
    from ee_lightning.exits.curve import Replay
    from ee_lightning.exits.stored import StoredExits

Family = Literal["auto", "equal", "line", "shares", "free"]
LARGEST = float(np.finfo(np.float32).max)
"""Stands for infinity, which JSON can't hold."""
_BASE = "base."
_FOLDS = 5


class Scheduled(Fitted):
    r"""Thresholds that are scheduled over the depth, by default of the confidence.

    A schedule has thresholds :math:`\tau_m(b)` for every exit m before the last and every budget b, which never fall as
    b rises. After exit m the score is the largest b whose :math:`\tau_m(b)` the base score reaches. So the threshold is
    the budget itself: the mean share of the layers that run, as measured on the calibration rows. At 0.5 the model is
    twice as fast there. The label is the base criterion's, and at the last exit its fallback.

    One threshold for all exits asks as much of a deep exit as of a shallow one, though a row that is still unsure there
    has little to gain from the rest. So good thresholds fall with depth. Families of them, in
    `ee_lightning.functional.schedules`: "equal" is one threshold for all exits, that is the base criterion; "line" has
    two numbers for every budget, and falls along a line or a parabola; "shares" lets fixed shares of the rows leave, as
    MSDNet does; "free" fits every exit alone, held near the line. "auto" takes what is best by cross-validation within
    the calibration rows, by the share of right rows over all budgets; below 20 rows it is "equal".

    A base that is itself fitted gives scores of rows that it was not fitted on, by five folds, and is then fitted on
    all.

    Args:
        base: The criterion whose score it is, by name, such as ``margin``; in Python with options too, such as
            ``voting(k=0.5)``.
        family: One of the above.
    """

    name = "scheduled_confidence"
    shapes: ClassVar = {"budgets": ("levels",), "thresholds": (NUM_EXITS, "levels")}

    def __init__(self, base: str = "confidence", family: Family = "auto") -> None:
        require_one_of(family, get_args(Family), "Scheduled.family")
        self.base, self.family = spec_of(base).build(), family
        if isinstance(self.base, Oracle | Scheduled):
            is_one = isinstance(self.base, Scheduled)
            hint = "it has a threshold for each exit already" if is_one else "name one that can be run, such as margin"
            raise OptionError(f"{base} can't be scheduled", where="Scheduled.base", hint=hint)
        self.handles_multi_label = self.base.handles_multi_label

    @override
    def estimate(self, exits: "StoredExits") -> Parameters:
        from ee_lightning.functional.schedules import FEWEST, Calibration, fit_schedule

        if self.family not in ("auto", "equal") and exits.num_samples < FEWEST:
            raise OptionError(
                f"{counted(exits.num_samples, 'calibration row')} can't tell thresholds of the family {self.family}",
                where="Scheduled.family",
                hint=f"hold out {FEWEST} rows or more (--data.calibration 500), or leave the family to 'auto'",
            )
        scores, right = self._judged(exits)
        costs = np.array(exits.layers_of_exits) / exits.layers_of_exits[-1]
        family = None if self.family == "auto" else self.family
        schedule = fit_schedule(Calibration(scores, right, costs), family)
        thresholds = np.full((exits.num_exits, len(schedule.budgets)), LARGEST)  # [exits, levels]
        thresholds[:-1, 0] = -LARGEST  # at the first level all leave at the first exit
        thresholds[:-1, 1:] = schedule.thresholds.T.clip(-LARGEST, LARGEST)
        learnt: Any = {"budgets": schedule.budgets.astype(np.float32), "thresholds": thresholds.astype(np.float32)}
        return dict(learnt)

    @override
    def initial_state(self, batch_size: int, num_classes: int, device: Device) -> State:
        return self.base.initial_state(batch_size, num_classes, device)

    @override
    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        parameters = self.parameters(output)
        budgets, levels = parameters["budgets"], parameters["thresholds"][output.exit_layer - 1]
        (score, label), following = self.base.step(output, state)
        xp = namespace(score)
        if output.exit_layer == output.num_exits:
            whole = xp.zeros(len(score), dtype=xp.float32, device=device(score)) + budgets[-1]  # [batch]
            return Decision(whole, self.base.fallback(output, following)), following
        finite = at_least(-LARGEST, xp.astype(score, xp.float64))  # [batch]
        reached = xp.searchsorted(xp.astype(levels[1:], xp.float64), finite, side="right")  # [batch]
        return Decision(budgets[reached], label), following

    @override
    def fallback(self, output: ExitOutput, state: State) -> Array:
        return self.base.fallback(output, state)

    @override
    def check_task(self, kind: Kind) -> None:
        super().check_task(kind)
        self.base.check_task(kind)

    def thresholds_at(self, budget: float) -> Threshold:
        """Return the base's thresholds, one for each exit, by which samples leave as they do here at a budget."""
        budgets, thresholds = (self._all_learnt()[name] for name in self.shapes)
        level = int(np.searchsorted(budgets, np.float64(budget)))  # the first that is at least that
        if level == len(budgets):
            return (inf,) * len(thresholds)
        return tuple({LARGEST: inf, -LARGEST: -inf}.get(each, each) for each in thresholds[:, level].tolist())

    @property
    @override
    def fitted(self) -> dict[str, Any]:
        of_base = self.base.fitted if isinstance(self.base, Fitted) else {}
        return super().fitted | {f"{_BASE}{name}": learnt for name, learnt in of_base.items()}

    @override
    def restore(self, fitted: Mapping[str, Any]) -> None:
        super().restore({name: learnt for name, learnt in fitted.items() if not name.startswith(_BASE)})
        if isinstance(self.base, Fitted):
            of_base = {name.removeprefix(_BASE): each for name, each in fitted.items() if name.startswith(_BASE)}
            self.base.restore(of_base)

    def _judged(self, exits: "StoredExits") -> tuple[Any, Any]:
        """Return the base's scores [early exits, samples], and whether it is right [exits, samples], in float64."""
        found, labels = self._replayed(exits), exits.label_sets() if exits.multi_label else exits.class_numbers()
        right = [said == labels for said in (*found.labels[:-1], found.fallback)]  # [samples] or [samples, labels] each
        whole = [each.flatten(1).all(-1) if exits.multi_label else each for each in right]  # [samples] each
        return found.scores[:-1].double().numpy(), np.stack([each.double().numpy() for each in whole])

    def _replayed(self, exits: "StoredExits") -> "Replay":
        """Let the base judge all samples; one that has to be fitted has not seen those that it judges."""
        import torch

        from ee_lightning.exits.curve import Replay, replay

        if not isinstance(self.base, Fitted):
            return replay(self.base, exits)
        order = torch.randperm(exits.num_samples, generator=torch.Generator().manual_seed(0))  # [samples]
        parts = []
        for held_out in order.tensor_split(min(_FOLDS, exits.num_samples)):
            rest = order[~torch.isin(order, held_out)]
            self.base.fit(exits.select(rest if len(rest) else held_out))
            parts.append(replay(self.base, exits.select(held_out)))
        self.base.fit(exits)
        back = order.argsort()  # [samples]
        return Replay(
            torch.cat([part.scores for part in parts], dim=1)[:, back],
            torch.cat([part.labels for part in parts], dim=1)[:, back],
            torch.cat([part.fallback for part in parts])[back],
        )
