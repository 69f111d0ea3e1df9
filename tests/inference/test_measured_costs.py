"""What a layer and an exit are found to cost, by a clock that the model itself moves on."""

from collections.abc import Callable

import pytest

from ee_lightning.exits import Voting
from ee_lightning.inference import Sample
from ee_lightning.inference.costs import measure_costs
from ee_lightning.models import MultiExitModel


@pytest.mark.parametrize("layers", [(1, 2, 3), (1, 3), (2, 3)])
def test_the_parts_of_the_model_are_told_apart(
    layers: tuple[int, ...], model_of: Callable[..., MultiExitModel], tiny_backbone: object, samples: list[Sample]
) -> None:
    model, now = model_of(tiny_backbone, exits=layers), [0.0]

    def taking(seconds: float) -> Callable[..., None]:
        def hook(*_: object) -> None:
            now[0] += seconds

        return hook

    model.backbone.encoder.embeddings.register_forward_hook(taking(0.5))
    for layer in model.backbone.encoder.encoder.layer:
        layer.register_forward_hook(taking(3.0))
    for classifier in model.heads.classifiers:
        classifier.register_forward_hook(taking(0.25))
    costs = measure_costs(model, samples[:5], Voting(), repeats=2, max_samples=3, clock=lambda: now[0])
    assert (costs.start, costs.layer, costs.exit, costs.full) == pytest.approx((500, 3000, 250, 9750))
    assert (costs.device, costs.threads) == ("cpu", 1)
