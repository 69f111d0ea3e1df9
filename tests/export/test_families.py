"""Every family's graphs: what they say is what the model says, and attention is fused where its operator fits."""

import numpy as np
import pytest
import torch
from families import FAMILY_CONFIGS

from ee_lightning.export.fusion import fuse, has_fused_attention
from ee_lightning.export.sessions import run, session_of
from ee_lightning.export.single import alone
from ee_lightning.export.tracing import HIDDEN, IDS, LOGITS, MASK, NEXT, TYPES, Stages, trace_stages
from ee_lightning.functional import Target
from ee_lightning.models import HeadOptions, MultiExitModel
from ee_lightning.models.restoring import untrained_model

pytestmark = pytest.mark.usefixtures("one_torchlib")
LAYERS = (1, 2, 4)
FUSED = {"bert", "roberta", "xlm-roberta", "camembert", "electra", "albert", "distilbert", "mobilebert"}
"""Families whose attention is of products, and of nothing beside the mask."""
LIKE_BERT = {"roberta", "xlm-roberta", "camembert", "electra"}
FAMILIES = [
    pytest.param(family, marks=pytest.mark.slow) if family in LIKE_BERT else family for family in FAMILY_CONFIGS
]


def model_of(family: str) -> MultiExitModel:
    """Make a model whose weights, biases among them, are all drawn at random."""
    torch.manual_seed(0)
    heads = HeadOptions(pooling="mean", gate=True)
    model = untrained_model(FAMILY_CONFIGS[family], Target.of(3), heads)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def logits_of(stages: Stages, batch: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return logits ``[exits, batch, classes]`` and gates ``[exits, batch]`` of the exits in their order."""
    (hidden,) = run(session_of(stages.embed), batch, [NEXT])
    said = []
    for layer, graph in stages.layers.items():
        (hidden,) = run(session_of(graph), {**batch, HIDDEN: hidden}, [NEXT])
        if layer in stages.exits:
            said.append(run(session_of(stages.exits[layer]), {**batch, HIDDEN: hidden}, [LOGITS, "gate"]))
    logits, gates = (np.stack(each) for each in zip(*said, strict=True))
    return logits, gates


@pytest.mark.parametrize("family", FAMILIES)
def test_graphs_say_what_the_model_says(family: str) -> None:
    model = model_of(family).asking(LAYERS)
    stages = trace_stages(model, LAYERS)
    for graph in (stages.embed, *stages.layers.values(), *stages.exits.values()):
        fuse(graph)
    assert sum(map(has_fused_attention, stages.layers.values())) == (LAYERS[-1] if family in FUSED else 0)
    ids = torch.randint(5, 50, (3, 11), generator=torch.Generator().manual_seed(1))
    mask = (torch.arange(11) < torch.tensor([[11], [4], [7]])).long()
    ids = torch.where(mask.bool(), ids, 0)
    batch = {IDS: ids.numpy(), MASK: mask.numpy(), TYPES: np.zeros((3, 11), np.int64)}
    with torch.no_grad():
        said = model(ids, mask, torch.zeros_like(ids))
    for found, expected in zip(logits_of(stages, batch), (said.logits, said.extras["gate"]), strict=True):
        np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-5)

    by_itself = Stages(
        alone(stages.embed),
        {layer: alone(graph) for layer, graph in stages.layers.items()},
        {layer: alone(graph) for layer, graph in stages.exits.items()},
    )
    assert all(value.name != MASK for graph in by_itself.layers.values() for value in graph.inputs)
    row = {name: array[1:2, :4] for name, array in batch.items()}
    np.testing.assert_allclose(logits_of(by_itself, row)[0][:, 0], said.logits[:, 1].numpy(), rtol=0, atol=1e-5)
