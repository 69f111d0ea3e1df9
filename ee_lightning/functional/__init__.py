"""Pure functions of tensors: losses, layer weights, metrics from counts, and accuracy-speed curves."""

from ee_lightning.functional.curves import OperatingPoints, area, operating_points, score_at
from ee_lightning.functional.layer_weights import equal_weights, linear_weights
from ee_lightning.functional.losses import (
    accuracy_term,
    diversity_term,
    exit_cross_entropies,
    pairwise_cross_entropies,
)
from ee_lightning.functional.metrics import CLASSIFICATION_METRICS, accuracy, classification_counts, f1, matthews

__all__ = [
    "CLASSIFICATION_METRICS",
    "OperatingPoints",
    "accuracy",
    "accuracy_term",
    "area",
    "classification_counts",
    "diversity_term",
    "equal_weights",
    "exit_cross_entropies",
    "f1",
    "linear_weights",
    "matthews",
    "operating_points",
    "pairwise_cross_entropies",
    "score_at",
]
