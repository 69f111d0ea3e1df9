"""Scores in both precisions against labels of the replay."""

import torch

from ee_lightning.exits import Patience
from ee_lightning.inference import EarlyExitEngine, Sample
from ee_lightning.inference.speed import precision_effects


def test_full_model_and_points_are_scored_in_both_precisions(tiny_backbone, model_of, samples: list[Sample]) -> None:
    model = model_of(tiny_backbone, num_classes=1, pooling="mean")
    patient = Patience(tolerance=0.3)

    def mean(predictions: torch.Tensor) -> float:
        assert predictions.shape == (len(samples),)
        return predictions.mean().item()

    def said(threshold: float, precision: str) -> torch.Tensor:
        engine = EarlyExitEngine(model, patient, threshold, precision=precision)
        return torch.cat([predictions.labels for predictions in engine.predict(samples)])

    full, early = precision_effects(model, samples, [(patient, 1.0)], mean)
    assert (full.criterion, early.criterion, early.threshold) == (None, patient.name, 1.0)
    for effect, threshold in ((full, torch.inf), (early, 1.0)):
        assert effect.fp32 == mean(said(threshold, "fp32"))
        assert effect.bf16 == mean(said(threshold, "bf16")) != effect.fp32
    assert full.fp32 != early.fp32
