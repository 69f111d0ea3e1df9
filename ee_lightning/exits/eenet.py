"""Leave when a gate that was fitted on the exits' outputs and its own earlier scores finds no use in going on."""

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from typing_extensions import override

from ee_lightning.exits.criterion import Decision, ExitOutput, State
from ee_lightning.exits.fitted import NUM_CLASSES, NUM_EXITS, Fitted, Parameters
from ee_lightning.exits.jei_dnn import gate_score
from ee_lightning.exits.normalised_entropy import negative_normalised_entropy
from ee_lightning.functional import Array, host, largest, namespace

if TYPE_CHECKING:
    from ee_lightning.exits.stored import StoredExits


class EENet(Fitted):
    r"""A gate an exit that reads the gates before it, after EENet (Ilhan et al. 2024).

    After exit m the score is :math:`g_m = \sigma(w_m \cdot x_m + b_m)`, with :math:`x_m` the probabilities
    :math:`p_m(c)` of exit m, the largest of them, their negative normalised entropy and the scores :math:`g_1, …,
    g_{m-1}`; at the last exit it is 1. The label is the most likely class. The threshold is a probability: that exit m
    is right, or no later exit is, which the gates were fitted to on a calibration split (`leaving_is_right`).

    EENet aims at exit m being right, fits for one budget at a time, and then sets a threshold for each exit. Here
    the aim knows what later exits can do, so that one threshold serves all exits and budgets; for thresholds of each
    exit take ``scheduled_confidence(base=eenet)``.
    """

    name = "eenet"
    shapes: ClassVar = {
        **{"of_classes": (NUM_EXITS, NUM_CLASSES), "of_figures": (NUM_EXITS, "figures")},
        "biases": (NUM_EXITS,),
    }

    @override
    def estimate(self, exits: "StoredExits") -> Parameters:
        from ee_lightning.functional.failures import leaving_is_right
        from ee_lightning.functional.logistic import fit_logistic

        labels, num_exits, num_classes = exits.class_numbers(), exits.num_exits, exits.num_classes
        targets = host(leaving_is_right(exits.predictions == labels).double())  # [exits, samples]
        of_figures = np.zeros((num_exits, num_exits + 1), dtype=np.float32)
        of_classes, biases = np.zeros((num_exits, num_classes), dtype=np.float32), np.zeros(num_exits, dtype=np.float32)
        earlier = np.zeros((exits.num_samples, 0))
        for place in range(num_exits - 1):
            classes, figures = (host(each).astype(np.float64) for each in _features(exits.output(place + 1)))
            features = np.concatenate([classes, figures, earlier], axis=1)  # [samples, classes + 2 + place]
            *weights, bias = fit_logistic(features, targets[place]).tolist()
            of_classes[place], biases[place] = weights[:num_classes], bias
            of_figures[place, : place + 2] = weights[num_classes:]
            score = 1 / (1 + np.exp(-features @ np.array(weights) - bias))  # [samples]
            earlier = np.concatenate([earlier, score[:, None]], axis=1)
        learnt: Any = {"of_classes": of_classes, "of_figures": of_figures, "biases": biases}
        return dict(learnt)

    @override
    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        parameters, place = self.parameters(output), output.exit_layer - 1
        xp = namespace(output.logits)
        classes, figures = _features(output)
        if place > 0:
            figures = xp.concat([figures, state["earlier"]], axis=1)  # [batch, 2 + place]
        of_figures = parameters["of_figures"][place, : place + 2]  # [2 + place]
        total = (classes * parameters["of_classes"][place]).sum(-1) + (figures * of_figures).sum(-1)  # [batch]
        score = gate_score(total + parameters["biases"][place], output)  # [batch]
        earlier = xp.concat([figures[:, 2:], score[:, None]], axis=1)  # [batch, exits so far]
        return Decision(score, output.predictions), {"earlier": earlier}


def _features(output: ExitOutput) -> tuple[Array, Array]:
    """Return the probabilities [batch, classes], and the largest with the negative normalised entropy [batch, 2]."""
    figures = [largest(output.probabilities), negative_normalised_entropy(output)]
    return output.probabilities, namespace(output.logits).stack(figures, axis=-1)
