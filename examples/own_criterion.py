"""An exit criterion of your own: copy this file, change `RecentMean`, and name the class wherever criteria are named.

    cd FOLDER                # where the file lies; elsewhere set PYTHONPATH to it
    ee-lightning fit --config configs/demo.yaml --sweep.criteria+=own_criterion.RecentMean
    ee-lightning curves RUN --criteria 'own_criterion.RecentMean(decay=0.8),voting'
    ee-lightning choose RUN --criterion 'own_criterion.RecentMean(decay=0.8)' --min-speedup 2
    ee-lightning predict RUN --criterion 'own_criterion.RecentMean(decay=0.8)' --input texts.csv --output labels.csv
    ee-lightning save RUN my-model --criterion 'own_criterion.RecentMean(decay=0.8)'

In Python an instance will do: `EarlyExitPredictor.from_run(RUN, criterion=RecentMean(0.8), threshold=0.9)`. A model
that was saved with it names the class: import the module before `EarlyExitPredictor.from_pretrained("my-model")`.
"""

import torch

from ee_lightning.errors import OptionError
from ee_lightning.exits import Criterion, Decision, ExitOutput, State


class RecentMean(Criterion):
    """Leave when the most likely class is likely enough by the exits so far, of which the latest count most.

    Args:
        decay: How much the exits before count beside the latest one, from 0 to below 1.
    """

    name = "recent_mean"  # in tables, with the options that differ from their defaults: recent_mean(decay=0.8)

    def __init__(self, decay: float = 0.5) -> None:  # options are numbers, texts, truth values, None or lists of them
        if not 0 <= decay < 1:
            raise OptionError(f"decay is {decay}", where="RecentMean.decay", hint="give a number from 0 to below 1")
        self.decay = decay

    def initial_state(self, batch_size: int, num_classes: int, device: torch.device) -> State:
        """Return what is remembered before the first exit: tensors with the batch first."""
        return {"mean": torch.zeros(batch_size, num_classes, device=device)}

    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        """Return score and label of every sample after an exit, and what to remember for the next one."""
        mean = self.decay * state["mean"] + (1 - self.decay) * output.probabilities  # [batch, classes]
        score, label = mean.max(-1)  # [batch] each; who scores the threshold or more leaves with this label
        return Decision(score, label), {"mean": mean}
