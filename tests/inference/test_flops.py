"""Counted operations against closed forms, another count and sums by hand."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModel, BertConfig, ElectraConfig, RobertaConfig

from ee_lightning.functional import Target
from ee_lightning.inference import FlopCounter
from ee_lightning.inference.flops import SampleFlops, flops_by_length
from ee_lightning.models import HeadOptions, MultiExitModel
from ee_lightning.models.backbones.bert import BertBackbone

WIDTH, INNER, CLASSES, LAYERS = 32, 48, 3, 4
SMALL = {
    "vocab_size": 50,
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "max_position_embeddings": 80,
}
CONFIGS = {
    "bert": BertConfig(**SMALL),
    "roberta": RobertaConfig(**SMALL),
    "electra": ElectraConfig(**SMALL, embedding_size=16),
}
EMBEDDING = {"bert": 0, "roberta": 0, "electra": 2 * 16 * WIDTH}
"""Operations of the embedding for each token."""


def make(family: str = "bert", **heads: object) -> MultiExitModel:
    return MultiExitModel(
        BertBackbone(AutoModel.from_config(CONFIGS[family])), Target.of(CLASSES), HeadOptions(**heads)
    )


@pytest.mark.parametrize("length", [1, 3, 64])
@pytest.mark.parametrize("family", CONFIGS)
def test_counts_are_the_closed_form(family: str, length: int) -> None:
    flops = FlopCounter(make(family, pooling="mean", gate=True)).of_sample(length)
    assert flops.embedding == EMBEDDING[family] * length
    layer = 2 * length * (4 * WIDTH**2 + 2 * WIDTH * INNER) + 4 * length**2 * WIDTH
    assert list(flops.layers) == [layer] * LAYERS
    head = 2 * WIDTH**2 + 2 * WIDTH * CLASSES + 2 * WIDTH  # pooler, classifier and gate
    assert list(flops.heads) == [head] * LAYERS
    assert flops.full == flops.embedding + LAYERS * layer + head
    assert flops.until(2) == flops.embedding + 2 * (layer + head)


@pytest.mark.parametrize("family", CONFIGS)
def test_all_layers_and_heads_are_what_a_pass_on_real_tensors_counts(family: str) -> None:
    model = make(family).eval()
    tokens = torch.full((1, 17), 7)
    flops = FlopCounter(model).of_sample(17)
    model.backbone.encoder.set_attn_implementation("eager")  # which is counted product by product
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model(tokens, torch.ones_like(tokens))
    assert flops.until(LAYERS) == counter.get_total_flops() > 0


def test_the_model_stays_as_it_is() -> None:
    model = make()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    FlopCounter(model).of_sample(5)
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_length_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counter = FlopCounter(make())
    first = counter.of_sample(5)
    monkeypatch.setattr(counter, "_count", None)
    assert counter.of_sample(5) is first


@pytest.mark.parametrize("heads", [{}, {"pooler": "shared"}, {"exits": "last"}])
def test_rows_take_their_layers_and_the_heads_that_they_pass(heads: dict) -> None:
    model = make(**heads)
    counter = FlopCounter(model)
    lengths = [9, 3, 60, 9]
    exits = [1, 3, 2, 4] if model.num_exits > 1 else [1, 1, 1, 1]
    early = full = 0
    for length, exit_layer in zip(lengths, exits, strict=True):
        flops = counter.of_sample(length)
        last = exit_layer + LAYERS - model.num_exits
        for layer in range(last):
            early += flops.layers[layer] + (flops.heads[layer] if layer >= LAYERS - model.num_exits else 0)
        full += sum(flops.layers) + flops.heads[-1]
    assert (counter.of_full(lengths), counter.of_exits(lengths, exits)) == (full, early)
    if model.num_exits == 1:
        assert list(counter.of_sample(9).heads[:-1]) == [0] * (LAYERS - 1)
        assert full == early


def test_leaving_never_costs_the_heads_that_were_passed() -> None:
    counter = FlopCounter(make())
    assert 1 - 1 / LAYERS < counter.of_full([20]) / counter.of_exits([20], [LAYERS]) < 1


LENGTHS = [3, 5, 8, 9, 12, 17, 30]


def quadratic(length: int) -> SampleFlops:
    return SampleFlops(7, [10 + 3 * length + 2 * length**2, 5 * length], [4, 4])


def test_few_lengths_tell_all_of_a_quadratic_cost() -> None:
    asked = []

    def count(length: int) -> SampleFlops:
        asked.append(length)
        return quadratic(length)

    assert flops_by_length(count, LENGTHS) == {length: quadratic(length) for length in LENGTHS}
    assert len(asked) == 4


def test_every_length_is_counted_where_the_cost_is_not_quadratic() -> None:
    found = flops_by_length(lambda length: SampleFlops(0, [length**3], [1]), LENGTHS)
    assert {length: parts.full for length, parts in found.items()} == {length: length**3 + 1 for length in LENGTHS}
