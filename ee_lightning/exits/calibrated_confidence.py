"""Leave when the most likely class is likely enough, by probabilities that were calibrated."""

from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from ee_lightning.exits.criterion import Decision, ExitOutput, State
from ee_lightning.exits.fitted import NUM_EXITS, Fitted, Parameters
from ee_lightning.functional import as_float32, largest, softmax

if TYPE_CHECKING:
    from ee_lightning.exits.stored import StoredExits


class CalibratedConfidence(Fitted):
    r"""Maximum softmax probability at a fitted temperature, from RightTool (Schwartz et al. 2020).

    After exit m the score is :math:`\max_c \mathrm{softmax}(z_m / T_m)(c)`, with :math:`z_m` the logits of exit m over
    the classes c and :math:`T_m` the temperature at which they are most likely on a calibration split; the label is the
    most likely class. The threshold is a probability, and means the same at every exit, which it does not for
    `Confidence`: early exits tend to be surer than they should be, or less sure.

    A temperature changes no label and, within an exit, no order of the scores; it only compares exits. See
    `fit_temperatures` for the bounds of :math:`T_m` where an exit makes no mistake on the calibration split.
    """

    name = "calibrated_confidence"
    shapes: ClassVar = {"temperatures": (NUM_EXITS,)}

    @override
    def estimate(self, exits: "StoredExits") -> Parameters:
        from ee_lightning.functional import fit_temperatures  # with torch, which judging does without

        return {"temperatures": fit_temperatures(exits.logits, exits.class_numbers()).float()}  # [exits]

    @override
    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        temperature = self.parameters(output)["temperatures"][output.exit_layer - 1]
        logits = as_float32(output.logits)
        below_largest = logits - largest(logits)[:, None]  # [batch, classes]; dividing it can't overflow to +inf
        return Decision(largest(softmax(below_largest / temperature)), output.predictions), state
