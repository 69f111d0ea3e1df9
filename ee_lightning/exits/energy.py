"""Leave when the logits are high enough."""

from typing_extensions import override

from ee_lightning.exits.criterion import Criterion, Decision, ExitOutput, State
from ee_lightning.functional import as_float32, largest


class Energy(Criterion):
    r"""Free energy of the logits, the signal of COSEE (He et al. 2025) and at :math:`\alpha = 0` of CAP (He 2025).

    After exit m the score is :math:`\ln \sum_c \exp z_m(c)`, with :math:`z_m` the logits of exit m over the classes c,
    which COSEE writes as :math:`1 / (1 + \sum_c \exp z_m(c))` below a threshold; the label is the most likely class.
    The threshold has no bounds, and shifts with the logits: unlike the other scores it is not of the probabilities
    alone. For two classes whose logits are opposite it orders samples within an exit as `Confidence` does.
    """

    name = "energy"

    @override
    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        score = largest(as_float32(output.logits)) - largest(output.log_probabilities)  # [batch]
        return Decision(score, output.predictions), state
