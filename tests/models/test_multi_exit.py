"""The internal classifiers and the multi-exit model."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ee_lightning.errors import OptionError
from ee_lightning.functional import Target, halting_log_probabilities
from ee_lightning.models import ExitHeads, HeadOptions, MultiExitModel, MultiExitOutput
from ee_lightning.models.backbones.backbone import EncoderState
from ee_lightning.models.backbones.loading import load_backbone
from ee_lightning.models.heads import unseen_share


def _state(hidden: torch.Tensor, lengths: list[int]) -> EncoderState:
    mask = (torch.arange(hidden.shape[1])[None] < torch.tensor(lengths)[:, None]).long()
    return EncoderState(hidden, mask, None if mask.all() else mask)


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("pooler", ["per_exit", "shared"])
def test_head_is_pool_dense_tanh_linear(pooling: str, pooler: str) -> None:
    torch.manual_seed(0)
    heads = ExitHeads(3, 8, 4, HeadOptions(pooling=pooling, pooler=pooler)).eval()
    hidden = torch.randn(2, 5, 8)
    logits = heads(2, _state(hidden, [3, 5])).logits
    pooled = hidden[:, 0] if pooling == "cls" else torch.stack([hidden[0, :3].mean(0), hidden[1].mean(0)])
    dense = heads.poolers[1 if pooler == "per_exit" else 0]
    expected = torch.tanh(pooled @ dense.weight.T + dense.bias) @ heads.classifiers[1].weight.T
    torch.testing.assert_close(logits, expected + heads.classifiers[1].bias)
    assert len(heads.poolers) == (3 if pooler == "per_exit" else 1)


def test_exits_work_in_float32_in_mixed_precision() -> None:
    heads = ExitHeads(1, 8, 2, HeadOptions(gate=True)).eval()
    state = _state(torch.randn(3, 5, 8), [5, 5, 5])
    exact = heads(1, state)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = heads(1, state)
    assert torch.equal(mixed.logits, exact.logits)
    assert torch.equal(mixed.extras["gate"], exact.extras["gate"])


def test_what_no_logit_sees_is_what_changes_no_logit() -> None:
    """Move the feature by all that the classifier can't tell apart, and compare lengths."""
    torch.manual_seed(0)
    classifier, pooled = nn.Linear(8, 3).double(), torch.randn(5, 8).double()
    nn.init.normal_(classifier.bias)
    weight = classifier.weight.detach()
    without_bias = pooled + torch.linalg.lstsq(weight, classifier.bias.detach().unsqueeze(1)).solution.T
    torch.testing.assert_close(without_bias @ weight.T, classifier(pooled))
    null_space = torch.linalg.svd(weight).Vh[3:]  # [5, 8]: directions that change no logit
    unseen = (without_bias @ null_space.T).norm(dim=1) / without_bias.norm(dim=1)
    torch.testing.assert_close(unseen_share(pooled, classifier), unseen)
    assert not unseen_share(pooled, nn.Linear(8, 9).double()).isnan().any()  # of as many classes nothing is unseen


def test_heads_give_their_extras_in_order(tiny_backbone: Path) -> None:
    options = HeadOptions(gate=True, nsp=True)
    model = MultiExitModel(load_backbone(str(tiny_backbone)), Target.of(3), options).eval()
    output = model(**_batch())
    assert [*output.extras] == [*model.heads.extras] == ["gate", "nsp"]
    assert output.extras["nsp"].shape == output.logits.shape[:2]
    assert ((output.extras["nsp"] > 0) & (output.extras["nsp"] < 1)).all()


def test_mean_pooling_ignores_padding() -> None:
    heads = ExitHeads(1, 8, 2, HeadOptions(pooling="mean")).eval()
    hidden = torch.randn(1, 6, 8)
    other = hidden.clone()
    other[:, 4:] = 100.0
    assert torch.equal(heads(1, _state(hidden, [4])).logits, heads(1, _state(other, [4])).logits)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"exits": "first"}, "exits"),
        ({"exits": []}, "exits"),
        ({"exits": [2, 1]}, "exits"),
        ({"exits": [0, 3]}, "exits"),
        ({"pooling": "max"}, "pooling"),
        ({"pooler": "none"}, "pooler"),
        ({"gate": "deeper"}, "gate"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_senseless_options_are_refused(options: dict[str, object], named: str) -> None:
    with pytest.raises(OptionError, match=f"model.heads.{named}"):
        HeadOptions(**options)  # type: ignore[arg-type]


def test_logits_of_every_exit_are_those_of_its_layer(tiny_backbone: Path) -> None:
    torch.manual_seed(0)
    model = MultiExitModel(load_backbone(str(tiny_backbone)), Target.of(3), HeadOptions(pooling="mean")).eval()
    ids, mask = torch.randint(5, 20, (4, 7)), torch.ones(4, 7, dtype=torch.long)
    with torch.inference_mode():
        logits = model(ids, mask).logits
        hidden = model.backbone.encoder(ids, mask, output_hidden_states=True).hidden_states
        for exit_layer in range(1, model.num_exits + 1):
            expected = model.heads(exit_layer, _state(hidden[exit_layer], [7] * 4)).logits
            assert torch.equal(logits[exit_layer - 1], expected)
    assert logits.shape == (3, 4, 3)


def test_every_parameter_gets_a_gradient(tiny_backbone: Path) -> None:
    model = MultiExitModel(load_backbone(str(tiny_backbone)), Target.of(2), HeadOptions())
    model(torch.randint(5, 20, (2, 6)), torch.ones(2, 6, dtype=torch.long)).logits.square().sum().backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def _batch() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        "input_ids": torch.randint(5, 20, (4, 7), generator=generator),
        "attention_mask": torch.ones(4, 7, dtype=torch.long),
    }


@pytest.mark.parametrize(
    "options", [HeadOptions(), HeadOptions(pooling="mean", pooler="shared", gate=True), HeadOptions(exits=(2, 3))]
)
def test_gradient_equilibrium_sends_every_layer_the_mean_of_the_exits_gradients(
    options: HeadOptions, tiny_backbone: Path
) -> None:
    torch.manual_seed(0)
    model = MultiExitModel(load_backbone(str(tiny_backbone)), Target.of(3), options).double().eval()
    labels, parameters = torch.tensor([0, 2, 1, 2]), dict(model.named_parameters())

    def loss_of(output: MultiExitOutput, exit_layer: int) -> Tensor:
        loss = cross_entropy(output.logits[exit_layer - 1], labels)
        return loss + output.extras["gate"][exit_layer - 1].square().mean() if output.extras else loss

    by_exit = []  # of every exit, the gradients that its own loss sends back
    exits = range(1, model.num_exits + 1)
    for exit_layer in exits:
        gradients = torch.autograd.grad(
            loss_of(model(**_batch()), exit_layer), list(parameters.values()), allow_unused=True
        )
        by_exit.append([0 if gradient is None else gradient for gradient in gradients])

    output = model(**_batch(), gradient_equilibrium=True)
    assert torch.equal(output.logits, model(**_batch()).logits)
    sum(loss_of(output, exit_layer) for exit_layer in exits).backward()  # type: ignore[union-attr]
    for (name, parameter), *gradients in zip(parameters.items(), *by_exit, strict=True):
        behind = {"backbone.encoder.encoder.layer.1": 2, "backbone.encoder.encoder.layer.2": 1}
        exits_behind = next((count for layer, count in behind.items() if name.startswith(f"{layer}.")), len(exits))
        expected = sum(gradients) / (1 if name.startswith("heads") else exits_behind)
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-9, atol=1e-12, msg=name)


def test_separate_exits_teach_only_the_layers_since_the_exit_before(tiny_backbone: Path) -> None:
    model = MultiExitModel(load_backbone(str(tiny_backbone)), Target.of(3), HeadOptions(exits=(1, 3))).eval()
    parameters = dict(model.backbone.named_parameters())
    output = model(**_batch(), separate_exits=True)
    assert torch.equal(output.logits, model(**_batch()).logits)
    taught = []
    for logits in output.logits:
        found = torch.autograd.grad(logits[:, 0].sum(), [*parameters.values()], retain_graph=True, allow_unused=True)
        named = {name for name, each in zip(parameters, found, strict=True) if each is not None and each.any()}
        taught.append({layer for layer in range(3) if any(f"encoder.layer.{layer}." in name for name in named)})
    assert taught == [{0}, {1, 2}]


def test_gradient_equilibrium_leaves_values_in_training_bit_for_bit(tiny_backbone: Path) -> None:
    model = MultiExitModel(load_backbone(str(tiny_backbone)), Target.of(2), HeadOptions(gate=True))
    outputs = []
    for gradient_equilibrium in (False, True):
        torch.manual_seed(7)  # of the dropout
        outputs.append(model(**_batch(), gradient_equilibrium=gradient_equilibrium))
    assert torch.equal(outputs[0].logits, outputs[1].logits)
    assert torch.equal(outputs[0].extras["gate"], outputs[1].extras["gate"])


@pytest.mark.parametrize("gate", [True, "deep", "per_exit"])
@pytest.mark.parametrize("pooler", ["per_exit", "shared"])
def test_gates_are_layers_on_what_every_exit_pooled(pooler: str, gate: object, tiny_backbone: Path) -> None:
    options = HeadOptions(pooler=pooler, gate=gate)  # type: ignore[arg-type]
    model = MultiExitModel(load_backbone(str(tiny_backbone)), Target.of(2), options).eval()
    for parameter in model.heads.gates.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    activations = {True: [], "deep": [torch.tanh] * 3, "per_exit": [torch.nn.functional.gelu]}[gate]  # type: ignore[index]
    with torch.inference_mode():
        output = model(**_batch())
        hidden = model.backbone.encoder(**_batch(), output_hidden_states=True).hidden_states
        for index in range(3):
            dense = model.heads.poolers[index if pooler == "per_exit" else 0]
            said = torch.tanh(hidden[index + 1][:, 0] @ dense.weight.T + dense.bias)
            weights = iter(model.heads.gates[index if gate == "per_exit" else 0].parameters())
            for activation in activations:
                said = activation(said @ next(weights).T + next(weights))
            score = said @ next(weights)[0] + next(weights)
            torch.testing.assert_close(output.extras["gate"][index], 1 / (1 + torch.exp(-score)))
            assert [*weights] == []


def test_by_gates_of_their_own_every_exit_is_as_likely_at_first() -> None:
    heads = ExitHeads(12, 32, 2, HeadOptions(gate="per_exit"))
    pooled = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
    gate = torch.stack([heads.classify(number, pooled).extras["gate"] for number in range(1, 13)])  # [exits, batch]
    torch.testing.assert_close(halting_log_probabilities(gate).exp(), torch.full((12, 5), 1 / 12), rtol=0.05, atol=0)


@pytest.mark.parametrize("num_layers", [1, 2, None])
def test_a_truncated_model_is_the_first_layers_of_the_whole(num_layers: int | None, tiny_backbone: Path) -> None:
    whole, kept = load_backbone(str(tiny_backbone)).eval(), num_layers or 3
    model = MultiExitModel(
        load_backbone(str(tiny_backbone), num_layers), Target.of(2), HeadOptions(exits="last")
    ).eval()
    with torch.inference_mode():
        hidden = whole.encoder(**_batch(), output_hidden_states=True).hidden_states[kept]
        expected = model.heads(1, _state(hidden, [7] * 4)).logits
        assert torch.equal(model(**_batch()).logits, expected[None])
    assert model.num_exits == 1
    assert model.backbone.num_layers == len(model.backbone.encoder.encoder.layer) == kept


@pytest.mark.parametrize("num_layers", [-1, 0, 4])
def test_layers_that_are_not_there_can_not_be_kept(num_layers: int, tiny_backbone: Path) -> None:
    with pytest.raises(OptionError, match=rf"{num_layers} layers are to be kept of 3[\s\S]*from 1 to 3"):
        load_backbone(str(tiny_backbone), num_layers)


@pytest.mark.parametrize(
    "options",
    [
        HeadOptions(),
        HeadOptions(pooler="shared", gate=True),
        HeadOptions(gate="deep"),
        HeadOptions(gate="per_exit"),
        HeadOptions(exits="last"),
        HeadOptions(exits=(1, 3), gate=True),
    ],
    ids=str,
)
def test_the_parts_hold_every_leaf_of_the_model_once(options: HeadOptions, tiny_backbone: Path) -> None:
    model = MultiExitModel(load_backbone(str(tiny_backbone)), Target.of(2), options)
    held = [
        leaf
        for part in ("backbone", "last_exit", "early_exits", "gates")
        for module in model.part(part)  # type: ignore[arg-type]
        for leaf in module.modules()
        if not [*leaf.children()]
    ]
    leaves = [module for module in model.modules() if not [*module.children()]]
    assert len(held) == len(leaves)
    assert {id(leaf) for leaf in held} == {id(leaf) for leaf in leaves}


@pytest.mark.parametrize("layers", [(1, 3), (2, 3), (3,)])
@pytest.mark.parametrize("options", [HeadOptions(gate=True), HeadOptions(pooling="mean", pooler="shared")], ids=str)
def test_exits_asked_alone_say_what_they_say_beside_the_others(
    layers: tuple[int, ...], options: HeadOptions, tiny_backbone: Path
) -> None:
    model = MultiExitModel(load_backbone(str(tiny_backbone)), Target.of(2), options).eval()
    before, asked, called = torch.get_rng_state(), model.asking(layers), []
    assert torch.equal(torch.get_rng_state(), before)
    assert (asked.layers_of_exits, asked.num_exits) == (layers, len(layers))
    assert [asked.exit_after(layer) for layer in (1, 2, 3)] == [
        layers.index(layer) + 1 if layer in layers else 0 for layer in (1, 2, 3)
    ]
    for layer, classifier in enumerate(model.heads.classifiers, 1):
        classifier.register_forward_hook(lambda *_, layer=layer: called.append(layer))
    with torch.inference_mode():
        said = asked(**_batch())
        assert called == list(layers)
        all_say = model(**_batch())
    places = [layer - 1 for layer in layers]
    assert torch.equal(said.logits, all_say.logits[places])
    assert said.extras.keys() == all_say.extras.keys()
    assert all(torch.equal(extra, all_say.extras[name][places]) for name, extra in said.extras.items())
    assert {id(parameter) for parameter in asked.parameters()} <= {id(parameter) for parameter in model.parameters()}

    placed = replace(options, exits=layers)
    made = MultiExitModel(load_backbone(str(tiny_backbone)), Target.of(2), placed).eval()
    made.load_state_dict(asked.state_dict())  # all of it, and no more
    with torch.inference_mode():
        assert torch.equal(made(**_batch()).logits, said.logits)


def test_all_exits_asked_are_the_model_itself(tiny_backbone: Path) -> None:
    model = MultiExitModel(load_backbone(str(tiny_backbone)), Target.of(2), HeadOptions())
    assert model.asking([1, 2, 3]) is model
    assert model.heads.options.exits == "every"


@pytest.mark.parametrize("exits", [(1, 2), (2, 4)])
def test_exits_that_the_layers_of_the_model_cannot_have_are_refused(
    exits: tuple[int, ...], tiny_backbone: Path
) -> None:
    with pytest.raises(OptionError, match=r"3 layers\n  where: model.heads.exits"):
        MultiExitModel(load_backbone(str(tiny_backbone)), Target.of(2), HeadOptions(exits=exits))
