"""Exit criteria, one file each, and their exact replay on stored exits."""

from ee_lightning.exits.beem import BEEM
from ee_lightning.exits.calibrated_confidence import CalibratedConfidence
from ee_lightning.exits.confidence import Confidence
from ee_lightning.exits.conformal import Conformal
from ee_lightning.exits.criteria import CRITERIA
from ee_lightning.exits.criterion import Criterion, Decision, State, in_short, name_with_options, reaches
from ee_lightning.exits.curve import Curve, trace_curve
from ee_lightning.exits.entropy import Entropy
from ee_lightning.exits.evaluated import EvaluatedRows
from ee_lightning.exits.f_pabee import FPABEE
from ee_lightning.exits.fitted import Fitted
from ee_lightning.exits.fixed import Fixed
from ee_lightning.exits.gate import GATE, Gate
from ee_lightning.exits.learned_ensemble import LearnedEnsemble
from ee_lightning.exits.margin import Margin
from ee_lightning.exits.normalised_entropy import NormalisedEntropy
from ee_lightning.exits.oracle import Oracle
from ee_lightning.exits.output import ExitOutput
from ee_lightning.exits.patience import Patience
from ee_lightning.exits.pcee import PCEE
from ee_lightning.exits.replay import Replay, replay
from ee_lightning.exits.running_ensemble import RunningEnsemble
from ee_lightning.exits.soft_voting import SoftVoting
from ee_lightning.exits.stored import StoredExits
from ee_lightning.exits.voting import Voting

__all__ = [
    "BEEM",
    "CRITERIA",
    "FPABEE",
    "GATE",
    "PCEE",
    "CalibratedConfidence",
    "Confidence",
    "Conformal",
    "Criterion",
    "Curve",
    "Decision",
    "Entropy",
    "EvaluatedRows",
    "ExitOutput",
    "Fitted",
    "Fixed",
    "Gate",
    "LearnedEnsemble",
    "Margin",
    "NormalisedEntropy",
    "Oracle",
    "Patience",
    "Replay",
    "RunningEnsemble",
    "SoftVoting",
    "State",
    "StoredExits",
    "Voting",
    "in_short",
    "name_with_options",
    "reaches",
    "replay",
    "trace_curve",
]
