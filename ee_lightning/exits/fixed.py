"""Leave at a layer chosen beforehand."""

from array_api_compat import device
from typing_extensions import override

from ee_lightning.exits.criterion import Criterion, Decision, ExitOutput, State
from ee_lightning.functional import namespace


class Fixed(Criterion):
    r"""The same exit for every sample, as a model cut off after m layers (the 6L and 9L rows of published tables).

    After exit m the score is m and the label is what exit m predicts. The threshold is the number of an exit: at
    :math:`\tau = m` every sample leaves at exit m, so that the curve goes through all truncated models. Serves every
    kind of task.
    """

    name = "fixed"
    handles_regression = True
    handles_multi_label = True

    @override
    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        predictions = output.predictions  # [batch] or [batch, labels]
        xp = namespace(predictions)
        score = xp.full((len(predictions),), output.exit_layer, dtype=xp.float32, device=device(predictions))  # [batch]
        return Decision(score, predictions), state

    @override
    def highest_score(self, exit_layer: int) -> float:
        return exit_layer
