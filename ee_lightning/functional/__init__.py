"""Pure functions of tensors: losses, layer weights, metrics from counts, curves, and how much the exits differ."""

from ee_lightning.functional.bootstrap import Resamples, percentile_interval, resample
from ee_lightning.functional.calibration import fit_temperatures
from ee_lightning.functional.curves import OperatingPoints, area, operating_points, score_at
from ee_lightning.functional.diversity import (
    double_fault,
    late_correction,
    overthinking,
    pairwise_disagreement,
    q_statistic,
)
from ee_lightning.functional.geometric_mean import fit_geometric_means
from ee_lightning.functional.gradients import scale_gradient
from ee_lightning.functional.information import InformationSplit, information_bias, information_split
from ee_lightning.functional.kind import Kind, predictions_of
from ee_lightning.functional.label_sets import same_rows, set_numbers, where_rows
from ee_lightning.functional.layer_weights import equal_weights, linear_weights
from ee_lightning.functional.losses import (
    accuracy_term,
    divergences_from,
    diversity_term,
    exit_cross_entropies,
    exit_losses,
    gate_loss,
    pairwise_cross_entropies,
)
from ee_lightning.functional.metrics import (
    CLASSIFICATION_METRICS,
    accuracy,
    classification_counts,
    f1,
    macro_f1,
    matthews,
)
from ee_lightning.functional.multi_label import absent_or_there, label_decision_targets, label_decisions
from ee_lightning.functional.multi_label_metrics import (
    MULTI_LABEL_METRICS,
    exact_match,
    label_counts,
    label_sizes,
    micro_f1,
)
from ee_lightning.functional.regression import REGRESSION_METRICS, label_moments, pearson, regression_moments
from ee_lightning.functional.risk_control import binomial_p_values, fixed_sequence, hoeffding_bentkus_p_values
from ee_lightning.functional.selection import best_point, fastest_point, halves
from ee_lightning.functional.separators import separators, shortest_decimals
from ee_lightning.functional.targets import balanced_weights, soft_targets
from ee_lightning.functional.weighted import weighted_scores

__all__ = [
    "CLASSIFICATION_METRICS",
    "MULTI_LABEL_METRICS",
    "REGRESSION_METRICS",
    "InformationSplit",
    "Kind",
    "OperatingPoints",
    "Resamples",
    "absent_or_there",
    "accuracy",
    "accuracy_term",
    "area",
    "balanced_weights",
    "best_point",
    "binomial_p_values",
    "classification_counts",
    "divergences_from",
    "diversity_term",
    "double_fault",
    "equal_weights",
    "exact_match",
    "exit_cross_entropies",
    "exit_losses",
    "f1",
    "fastest_point",
    "fit_geometric_means",
    "fit_temperatures",
    "fixed_sequence",
    "gate_loss",
    "halves",
    "hoeffding_bentkus_p_values",
    "information_bias",
    "information_split",
    "label_counts",
    "label_decision_targets",
    "label_decisions",
    "label_moments",
    "label_sizes",
    "late_correction",
    "linear_weights",
    "macro_f1",
    "matthews",
    "micro_f1",
    "operating_points",
    "overthinking",
    "pairwise_cross_entropies",
    "pairwise_disagreement",
    "pearson",
    "percentile_interval",
    "predictions_of",
    "q_statistic",
    "regression_moments",
    "resample",
    "same_rows",
    "scale_gradient",
    "score_at",
    "separators",
    "set_numbers",
    "shortest_decimals",
    "soft_targets",
    "weighted_scores",
    "where_rows",
]
