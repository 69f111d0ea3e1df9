"""Leave when one class has enough of the exits' votes."""

from typing import Literal, get_args

from typing_extensions import override

from ee_lightning.errors import OptionError, require_one_of
from ee_lightning.exits.criterion import Criterion, Decision, ExitOutput, State
from ee_lightning.functional import Array, Kind, as_float32, largest, namespace, one_hot, scalar

LARGEST_EXPONENT = 16
"""So that float32 can distinguish m^k for as many as 255 exits m."""

Fallback = Literal["last", "majority"]


class Voting(Criterion):
    r"""Votes of the exits so far, from the ensemble of internal classifiers (`Sun et al. 2021`_).

    Each exit casts one vote for its most likely class. After exit m the score is :math:`\max_c v_c(m) / m^k`, with
    :math:`v_c(m)` the votes for class c among exits 1 to m; the label is the class with most votes, and of several the
    one just voted for. The threshold has no unit: with k = 0 it counts votes, with k = 1 it is a share of them. The
    first vote scores 1, so at 1 and below all leave at exit 1. From k = 1 on no score is above 1, so that all samples
    leave at exit 1 or none does: take k below 1.

    Of several labels a vote is for the whole set that an exit predicts, and the score counts the votes for the set that
    has most. The labels predicted are those that most votes hold; where votes are equal, as the one just cast has it.
    So where one set has more than half of the votes, it is predicted. For several labels the paper defines no voting.

    Args:
        k: How fast the bar rises with the number of votes cast, from 0 to 16. The default is the second author's.
        fallback: What to predict where no exit let a sample leave: the class of the "last" exit, or the class of the
            "majority" of all exits (of several, the last exit's, or else the first by number; of several labels those
            that most votes hold).

    .. _Sun et al. 2021: https://arxiv.org/abs/2105.13792
    """

    name = "voting"
    handles_multi_label = True

    def __init__(self, k: float = 0.75, fallback: Fallback = "last") -> None:
        check_exponent(k, "Voting.k")
        require_one_of(fallback, get_args(Fallback), "Voting.fallback")
        self.k, self.fallback_rule = float(k), fallback

    @override
    def step(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        if output.kind is Kind.MULTI_LABEL:
            return self._step_on_sets(output, state)
        voted = one_hot(output.predictions, output.logits)  # [batch, classes]
        votes = state["votes"] + voted if output.exit_layer > 1 else voted  # [batch, classes]
        return Decision(largest(votes) / bar(output, self.k), _leading(votes, voted)), {"votes": votes}

    @override
    def highest_score(self, exit_layer: int) -> float:
        return highest_share(exit_layer, self.k)

    @override
    def fallback(self, output: ExitOutput, state: State) -> Array:
        if self.fallback_rule == "last":
            return output.predictions
        if output.kind is Kind.MULTI_LABEL:
            return _majority(state["votes"], output)
        return _leading(state["votes"], one_hot(output.predictions, output.logits))

    def _step_on_sets(self, output: ExitOutput, state: State) -> tuple[Decision, State]:
        xp, is_first = namespace(output.logits), output.exit_layer == 1
        voted = output.predictions[:, None]  # [batch, 1, labels]
        ballots = voted if is_first else xp.concat([state["ballots"], voted], axis=1)  # [batch, m, labels]
        for_this_set = as_float32((ballots == voted).all(-1).sum(-1))  # [batch]
        highest = for_this_set if is_first else xp.maximum(for_this_set, state["highest"])  # [batch]
        votes = as_float32(ballots.sum(1))  # [batch, labels]
        decision = Decision(highest / bar(output, self.k), _majority(votes, output))
        return decision, {"votes": votes, "ballots": ballots, "highest": highest}


def check_exponent(k: float, option: str) -> None:
    """Raise an OptionError for an exponent of the bar that is negative or above 16."""
    if not 0 <= k <= LARGEST_EXPONENT:
        raise OptionError(
            f"{option.partition('.')[0]} got k={k}",
            where=option,
            hint=f"give a number from 0 to {LARGEST_EXPONENT}: at 0 the score is a sum over the exits, at 1 their mean",
        )


def bar(output: ExitOutput, k: float) -> Array:
    """Return m^k, by which the votes of m exits are divided, as an array of no dimensions."""
    return scalar(output.exit_layer**k, output.logits)


def highest_share(exit_layer: int, k: float) -> float:
    """Return a bound on what m exits of one mind make together, m / m^k, with room for rounding in float32."""
    return float(exit_layer ** (1 - k)) * 1.00001


def _leading(votes: Array, voted: Array) -> Array:
    """Return the class with most votes, and of several the one just voted for."""
    return (votes + voted / 2).argmax(-1)  # [batch]; half a vote decides between equals


def _majority(votes: Array, output: ExitOutput) -> Array:
    """Return the labels that more than half of the m votes hold, or half with the one just cast, [batch, labels]."""
    return 2 * votes + as_float32(output.predictions) > output.exit_layer
