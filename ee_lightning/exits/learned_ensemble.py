"""Leave when the exits together are sure enough, each with a weight that was fitted."""

from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from ee_lightning.exits.criterion import Decision, ExitOutput, State
from ee_lightning.exits.fitted import NUM_CLASSES, NUM_EXITS, Fitted, Parameters
from ee_lightning.exits.running_ensemble import bounded_log_probabilities
from ee_lightning.functional import Array, largest, namespace, softmax

if TYPE_CHECKING:
    from ee_lightning.exits.stored import StoredExits


class LearnedEnsemble(Fitted):
    r"""Weighted geometric mean of the distributions so far, Zero Time Waste's ensemble (Wołczyk et al. 2021).

    After exit m the score is :math:`\max_c q_m(c)` with
    :math:`q_m(c) \propto \exp(b_m(c) + \sum_{j \le m} w_{m,j} \ln p_j(c))` and :math:`p_j` the softmax of exit j's
    logits over the classes c. The weights :math:`w_{m,j}` and biases :math:`b_m(c)` of exit m make the labels of a
    calibration split most likely; see `fit_geometric_means`. The label is the class that attains the score, and is
    predicted too where no exit lets a sample leave. The threshold is a probability.

    Here the weights are fitted after training, by a convex problem with one solution, and may be negative. In the paper
    the exits are also chained to one another, which belongs to the model and not to the rule.
    """

    name = "learned_ensemble"
    shapes: ClassVar = {"weights": (NUM_EXITS, NUM_EXITS), "biases": (NUM_EXITS, NUM_CLASSES)}

    @override
    def estimate(self, exits: "StoredExits") -> Parameters:
        from ee_lightning.functional import fit_geometric_means  # with torch, which judging does without

        outputs = [exits.output(exit_layer) for exit_layer in range(1, exits.num_exits + 1)]
        log_probabilities = namespace(exits.logits).stack([bounded_log_probabilities(each) for each in outputs])
        weights, biases = fit_geometric_means(log_probabilities, exits.class_numbers())
        return {"weights": weights.float(), "biases": biases.float()}  # [exits, exits], [exits, classes]

    @override
    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        so_far = bounded_log_probabilities(output)[:, None]  # [batch, 1, classes]
        if output.exit_layer > 1:
            so_far = namespace(so_far).concat([state["log_probabilities"], so_far], axis=1)  # [batch, m, classes]
        following = {"log_probabilities": so_far}
        ensemble = self._ensemble(output, following)  # [batch, classes]
        return Decision(largest(softmax(ensemble)), ensemble.argmax(-1)), following

    @override
    def fallback(self, output: ExitOutput, state: State) -> Array:
        return self._ensemble(output, state).argmax(-1)

    def _ensemble(self, output: ExitOutput, state: State) -> Array:
        parameters = self.parameters(output)
        weights = parameters["weights"][output.exit_layer - 1]  # [exits]
        ensemble = parameters["biases"][output.exit_layer - 1]  # [classes]
        for place in range(output.exit_layer):
            ensemble = ensemble + weights[place] * state["log_probabilities"][:, place]  # [batch, classes]
        return ensemble
