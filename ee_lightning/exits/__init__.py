"""Exit criteria, one file each, and their exact replay on stored exits."""

from ee_lightning.exits.confidence import Confidence
from ee_lightning.exits.criterion import Criterion, Decision, ExitOutput, State, name_with_options
from ee_lightning.exits.curve import Curve, trace_curve
from ee_lightning.exits.entropy import Entropy
from ee_lightning.exits.fixed import Fixed
from ee_lightning.exits.oracle import Oracle
from ee_lightning.exits.patience import Patience
from ee_lightning.exits.replay import Replay, replay
from ee_lightning.exits.stored import StoredExits
from ee_lightning.exits.voting import Voting

__all__ = [
    "Confidence",
    "Criterion",
    "Curve",
    "Decision",
    "Entropy",
    "ExitOutput",
    "Fixed",
    "Oracle",
    "Patience",
    "Replay",
    "State",
    "StoredExits",
    "Voting",
    "name_with_options",
    "replay",
    "trace_curve",
]
