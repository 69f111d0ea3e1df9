"""Exit criteria, one file each, and their exact replay on stored exits.

Adding a criterion is adding its file, its import here and a row of `CRITERIA`. Criteria judge torch tensors and numpy
arrays alike, and importing them loads no torch.
"""

from typing import TYPE_CHECKING

import lazy_loader

from ee_lightning.exits.beem import BEEM as BEEM
from ee_lightning.exits.calibrated_confidence import CalibratedConfidence as CalibratedConfidence
from ee_lightning.exits.cap import CAP as CAP
from ee_lightning.exits.cap import NSP as NSP
from ee_lightning.exits.confidence import Confidence as Confidence
from ee_lightning.exits.conformal import Conformal as Conformal
from ee_lightning.exits.criterion import Criterion as Criterion
from ee_lightning.exits.criterion import Decision as Decision
from ee_lightning.exits.criterion import ExitOutput as ExitOutput
from ee_lightning.exits.criterion import State as State
from ee_lightning.exits.criterion import in_short as in_short
from ee_lightning.exits.criterion import name_with_options as name_with_options
from ee_lightning.exits.criterion import reaches as reaches
from ee_lightning.exits.eenet import EENet as EENet
from ee_lightning.exits.energy import Energy as Energy
from ee_lightning.exits.entropy import Entropy as Entropy
from ee_lightning.exits.f_pabee import FPABEE as FPABEE
from ee_lightning.exits.fitted import Fitted as Fitted
from ee_lightning.exits.fixed import Fixed as Fixed
from ee_lightning.exits.gate import GATE as GATE
from ee_lightning.exits.gate import Gate as Gate
from ee_lightning.exits.jei_dnn import JEIDNN as JEIDNN
from ee_lightning.exits.learned_ensemble import LearnedEnsemble as LearnedEnsemble
from ee_lightning.exits.margin import Margin as Margin
from ee_lightning.exits.naming import CriterionSpec as CriterionSpec
from ee_lightning.exits.naming import StoredSpec as StoredSpec
from ee_lightning.exits.naming import criteria as criteria
from ee_lightning.exits.naming import spec_of as spec_of
from ee_lightning.exits.normalised_entropy import NormalisedEntropy as NormalisedEntropy
from ee_lightning.exits.oracle import Oracle as Oracle
from ee_lightning.exits.patience import Patience as Patience
from ee_lightning.exits.pcee import PCEE as PCEE
from ee_lightning.exits.q_exit import QExit as QExit
from ee_lightning.exits.running_ensemble import RunningEnsemble as RunningEnsemble
from ee_lightning.exits.scheduled import Scheduled as Scheduled
from ee_lightning.exits.soft_voting import SoftVoting as SoftVoting
from ee_lightning.exits.threshold import Threshold as Threshold
from ee_lightning.exits.threshold import as_threshold as as_threshold
from ee_lightning.exits.threshold import at_exits as at_exits
from ee_lightning.exits.voting import Voting as Voting
from ee_lightning.extras import telling_missing

if TYPE_CHECKING:
    from ee_lightning.exits.curve import Curve as Curve
    from ee_lightning.exits.curve import Replay as Replay
    from ee_lightning.exits.curve import replay as replay
    from ee_lightning.exits.curve import trace_curve as trace_curve
    from ee_lightning.exits.stored import EvaluatedRows as EvaluatedRows
    from ee_lightning.exits.stored import StoredExits as StoredExits

_NEEDING_TORCH = {"curve": ["Curve", "Replay", "replay", "trace_curve"], "stored": ["EvaluatedRows", "StoredExits"]}
__getattr__ = telling_missing()(lazy_loader.attach(__name__, submod_attrs=_NEEDING_TORCH)[0])  # loaded when asked for

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
        Energy,
        CAP,
        PCEE,
        FPABEE,
        BEEM,
        RunningEnsemble,
        LearnedEnsemble,
        Gate,
        QExit,
        Conformal,
        Scheduled,
        EENet,
        JEIDNN,
        Fixed,
        Oracle,
    )
}
"""Every criterion by the name that it has with its default options."""
