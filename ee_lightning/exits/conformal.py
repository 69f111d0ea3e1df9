"""Leave when the full model is likely enough to agree, with a guarantee."""

from typing import TYPE_CHECKING, ClassVar

from array_api_compat import device
from typing_extensions import override

from ee_lightning.exits.criterion import Decision, ExitOutput, State
from ee_lightning.exits.fitted import Fitted, Parameters
from ee_lightning.functional import largest, namespace

if TYPE_CHECKING:
    from ee_lightning.exits.stored import StoredExits

NEVER_DIFFERS = 0.0
"""Below every largest probability; stands for -inf, which JSON can't hold."""


class Conformal(Fitted):
    r"""Conformal consistency with the full model, from CATs (Schuster et al. 2021).

    The base score is :math:`s_m = \max_c p_m(c)`, with :math:`p_m` the softmax of exit m's logits over the classes c.
    Of each of the n samples i of a calibration split it keeps :math:`S_i`, the largest base score among those exits
    before the last whose class differs from the last exit's (-inf where none differs): above it, leaving was safe.
    After exit m the score is the share :math:`|\{i : S_i < s_m\}| / (n + 1)`; the label is exit m's most likely class.

    The threshold is the promised consistency: leaving at :math:`1 - \epsilon` is leaving once :math:`s_m` is above the
    :math:`\lceil (n + 1)(1 - \epsilon) \rceil`-th smallest of the :math:`S_i` with +inf appended, so that the label is
    the full model's with probability at least :math:`1 - \epsilon`. That holds for a threshold chosen beforehand, and
    for samples exchangeable with the calibration split, on average over both; it says nothing of the true labels, nor
    of each class apart. With fewer than :math:`1 / \epsilon - 1` samples none leaves. No labels are needed to fit it.

    The shares are in float64, as thresholds are: in float32 the share 19/20 is below a promised 0.95.
    """

    name = "conformal"
    shapes: ClassVar = {"largest_when_differing": ("samples",)}

    @override
    def estimate(self, exits: "StoredExits") -> Parameters:
        outputs = [exits.output(exit_layer) for exit_layer in range(1, exits.num_exits + 1)]
        full_model = outputs[-1].predictions
        xp = namespace(full_model)
        highest = xp.full_like(largest(outputs[-1].probabilities), NEVER_DIFFERS)  # [samples]
        for output in outputs[:-1]:
            base = xp.maximum(highest, largest(output.probabilities))  # [samples]
            highest = xp.where(output.predictions != full_model, base, highest)
        return {"largest_when_differing": xp.sort(highest)}  # [samples]

    @override
    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        highest = self.parameters(output)["largest_when_differing"]  # [samples], ascending
        xp = namespace(highest)
        smaller = xp.searchsorted(highest, largest(output.probabilities))  # [batch]
        samples = xp.full((), len(highest) + 1, dtype=xp.float64, device=device(smaller))
        return Decision(xp.astype(smaller, xp.float64) / samples, output.predictions), state
