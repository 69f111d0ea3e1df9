"""The table of criteria: adding a criterion is adding its file and a row."""

from ee_lightning.exits.beem import BEEM
from ee_lightning.exits.calibrated_confidence import CalibratedConfidence
from ee_lightning.exits.confidence import Confidence
from ee_lightning.exits.conformal import Conformal
from ee_lightning.exits.criterion import Criterion
from ee_lightning.exits.entropy import Entropy
from ee_lightning.exits.f_pabee import FPABEE
from ee_lightning.exits.fixed import Fixed
from ee_lightning.exits.gate import Gate
from ee_lightning.exits.learned_ensemble import LearnedEnsemble
from ee_lightning.exits.margin import Margin
from ee_lightning.exits.normalised_entropy import NormalisedEntropy
from ee_lightning.exits.oracle import Oracle
from ee_lightning.exits.patience import Patience
from ee_lightning.exits.pcee import PCEE
from ee_lightning.exits.running_ensemble import RunningEnsemble
from ee_lightning.exits.soft_voting import SoftVoting
from ee_lightning.exits.voting import Voting

CRITERIA: dict[str, type[Criterion]] = {
    criterion.name: criterion
    for criterion in (
        Voting,
        SoftVoting,
        Patience,
        Confidence,
        CalibratedConfidence,
        Entropy,
        NormalisedEntropy,
        Margin,
        PCEE,
        FPABEE,
        BEEM,
        RunningEnsemble,
        LearnedEnsemble,
        Gate,
        Conformal,
        Fixed,
        Oracle,
    )
}
"""Every criterion by the name that it has with its default options."""
