"""Leave at the first exit that is right."""

from typing_extensions import override

from ee_lightning.errors import OptionError
from ee_lightning.exits.criterion import Criterion, Decision, ExitOutput, State
from ee_lightning.functional import as_float32, same_rows


class Oracle(Criterion):
    """The first exit that is right, else the last: the best choice of exits, and no method (Kaya et al. 2019).

    After exit m the score is 1 where exit m's most likely class is the true one and 0 elsewhere; the label is that most
    likely class. Of several labels an exit is right if all of them are. The threshold has no unit, and the oracle's
    operating point, `THRESHOLD`, lies between wrong and right. It cannot be deployed: it reads the labels.
    """

    name = "oracle"
    THRESHOLD = 0.5
    handles_multi_label = True

    @override
    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        if output.labels is None:
            raise OptionError(
                "The oracle needs the true labels, and these samples have none",
                where="criteria",
                hint="leave the oracle out, or use a split with labels",
            )
        predictions = output.predictions
        return Decision(as_float32(same_rows(predictions, output.labels)), predictions), state
