"""Leave when enough exits in a row have agreed."""

import torch

from ee_lightning.exits.criterion import Criterion, Decision, ExitOutput, State

NO_CLASS = -1


class Patience(Criterion):
    r"""Consecutive agreeing exits, from PABEE (Zhou et al. 2020).

    After exit m the score is the number of exits up to m that in a row predicted the same class as the exit before; the
    first exit counts 0, and an exit that differs starts again at 0. The label is exit m's most likely class. The
    threshold is that number, the patience t: a sample leaves at exit t + 1 at the earliest; at 0 all leave at exit 1.
    """

    name = "patience"

    def start(self, batch_size: int, num_classes: int, device: torch.device) -> State:
        """See `Criterion.start`."""
        return {
            "previous": torch.full((batch_size,), NO_CLASS, device=device),  # [batch]
            "agreements": torch.zeros(batch_size, device=device),  # [batch]
        }

    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        """See `Criterion.step`."""
        predictions = output.predictions
        agreements = torch.where(predictions == state["previous"], state["agreements"] + 1, 0)
        return Decision(agreements, predictions), {"previous": predictions, "agreements": agreements}
