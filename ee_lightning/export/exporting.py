"""A trained model into a folder of graphs, checked against the model before it counts."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ee_lightning.errors import BackboneError, OptionError, RunFolderError
from ee_lightning.exits import Confidence, Criterion, Entropy, Margin, Patience, StoredExits, Voting
from ee_lightning.exits.naming import CriterionSpec, spec_of
from ee_lightning.export.checking import Checks, RunExits, check_single, check_stages, exits_in_runtime
from ee_lightning.export.fusion import fuse, has_fused_attention
from ee_lightning.export.int8 import calibrate, quantise
from ee_lightning.export.serialising import GraphFiles
from ee_lightning.export.single import alone, single_graph
from ee_lightning.export.tracing import Stages, trace_stages
from ee_lightning.functional import Kind
from ee_lightning.inference import Deployment, EarlyExitPredictor, ExitPolicy, Sample
from ee_lightning.inference.deployment import EARLY_EXIT, check_place
from ee_lightning.inference.together import written_together
from ee_lightning.runtime.manifest import MANIFEST, Graphs, Manifest, Single, digests

Precision = Literal["fp32", "int8"]
IN_GRAPH: tuple[type[Criterion], ...] = (Confidence, Entropy, Margin, Voting, Patience)
"""Criteria that are a few operations on logits, and are exported with their default options beside the model's own."""
CALIBRATION_ROWS = 128
_PACKAGES = ("torch", "transformers", "tokenizers", "onnx-ir", "onnxruntime")


@dataclass(frozen=True)
class Exported:
    """What was exported.

    Attributes:
        manifest: The folder's.
        deployment: What the model predicts, and when samples leave.
        fused: How many of the layers have fused attention.
        checks: How near the graphs come to the model.
        exits: What the exported exits say of all the rows that were given; None unless the rule was chosen by it.
        left_out: Criteria that no graph for single rows could be made of, and why.
    """

    manifest: Manifest
    deployment: Deployment
    fused: int
    checks: Checks
    exits: StoredExits | None
    left_out: dict[str, str]


Choice = Callable[[ExitPolicy, StoredExits, RunExits], ExitPolicy]
"""Chooses the rule again by what the exported exits say of the rows; others can be run by the function beside them."""


def export_model(
    predictor: EarlyExitPredictor,
    folder: Path,
    samples: Sequence[Sample],
    *,
    precision: Precision = "fp32",
    choice: Choice | None = None,
) -> Exported:
    """Write a model's graphs, tokenizer, rule and manifest into a folder, whole or not at all.

    Args:
        predictor: The model, with the exits and the rule to export, on the CPU.
        folder: The folder; an exported model that it holds stays until the new one is complete.
        samples: Real rows, on which the graphs are checked, and int8 is calibrated.
        precision: ``fp32``, or ``int8`` for products in whole numbers.
        choice: Chooses the rule again, for int8.

    Raises:
        BackboneError: The model can't be traced, or the graphs say something else than it does.
        RunFolderError: The folder can't be written, is that of a run, or holds a model of another kind.
        OptionError: The model's heads have ``nsp``.
    """
    check_place(folder, exported=True)
    if predictor.model.heads.options.nsp:
        what, hint = "no graph holds the null space projection", "run it with the torch engine: save and predict"
        raise OptionError(what, where="model.heads.nsp", hint=hint)
    model, layers = predictor.model, predictor.model.layers_of_exits
    stages = trace_stages(model, layers)
    graphs = (stages.embed, *stages.layers.values(), *stages.exits.values())
    for graph in graphs:
        fuse(graph)
    fused = sum(has_fused_attention(graph) for graph in stages.layers.values())
    if precision == "int8":
        some = samples[:: max(1, len(samples) // CALIBRATION_ROWS)]
        ranges = calibrate(stages, (_arrays(predictor, [sample]) for sample in some))
        for layer, graph in stages.layers.items():
            quantise(graph, ranges[layer])
    before = _listed(folder)
    with written_together(folder) as unfinished, GraphFiles(unfinished) as files:
        manifest = _write_stages(stages, predictor, precision, files)
        files.flush()
        run = exits_in_runtime(unfinished, manifest, predictor.model.target)
        checks = check_stages(predictor, run, samples, exactly=precision == "fp32")
        deployment, exits = predictor.deployment, None
        if precision == "int8" and choice is not None:
            exits = run(samples)
            deployment = replace(deployment, rule=choice(deployment.rule, exits, run))
        single, left_out = _write_single(stages, predictor, deployment.rule, files)
        files.flush()
        for each in single:
            check_single(unfinished / each.file, _criterion_of(each), deployment.rule, predictor, run, samples)
        predictor.tokenizer.save_pretrained(unfinished)
        deployment.write(unfinished / EARLY_EXIT)
        manifest = replace(manifest, single=tuple(single), files=dict(digests(unfinished)))
        manifest.write(unfinished / MANIFEST)
    for name in before - {*manifest.files, MANIFEST}:
        (folder / name).unlink(missing_ok=True)
    return Exported(manifest, deployment, fused, checks, exits, left_out)


def _listed(folder: Path) -> set[str]:
    """Return the names of the files of the exported model that a folder holds."""
    try:
        return {*Manifest.read(folder).files} if (folder / MANIFEST).exists() else set()
    except RunFolderError:
        return set()


def _write_stages(stages: Stages, predictor: EarlyExitPredictor, precision: Precision, files: GraphFiles) -> Manifest:
    layers = tuple(files.write(graph.clone(), f"layer_{layer:02}.onnx") for layer, graph in stages.layers.items())
    exits = tuple(files.write(graph.clone(), f"exit_{layer:02}.onnx") for layer, graph in stages.exits.items())
    tokenizer, backbone = predictor.tokenizer, predictor.model.backbone
    return Manifest(
        model_type=str(backbone.encoder.config.model_type),
        precision=precision,
        width=backbone.hidden_size,
        depth=backbone.num_layers,
        exit_layers=tuple(stages.exits),
        inputs=tuple(str(value.name) for value in stages.embed.inputs),
        extras=predictor.model.heads.extras,
        fills={"input_ids": tokenizer.pad_token_id, "token_type_ids": tokenizer.pad_token_type_id},
        graphs=Graphs(files.write(stages.embed.clone(), "embed.onnx"), layers, exits),
        single=(),
        files={},
        versions={name: version(name) for name in _PACKAGES},
    )


def _write_single(
    stages: Stages, predictor: EarlyExitPredictor, rule: ExitPolicy, files: GraphFiles
) -> tuple[list[Single], dict[str, str]]:
    """Write a graph for single rows for each criterion that can be in one, the model's own among them."""
    target, written, left_out = predictor.model.target, list[Single](), dict[str, str]()
    by_itself = Stages(
        alone(stages.embed),
        {layer: alone(graph) for layer, graph in stages.layers.items()},
        {layer: alone(graph) for layer, graph in stages.exits.items()},
    )
    for spec in _specs(rule, target.kind):
        criterion = spec.build()
        try:
            graph = single_graph(by_itself, criterion, target)
        except BackboneError as error:
            left_out[criterion.name] = error.what
            continue
        file = files.write(graph, f"single_{len(written) + 1}.onnx")
        written.append(Single(spec.class_path, dict(spec.init_args), dict(spec.fitted), file))
    return written, left_out


def _specs(rule: ExitPolicy, kind: Kind) -> Iterator[CriterionSpec]:
    yield rule.criterion
    for criterion in (made() for made in IN_GRAPH):
        spec = spec_of(criterion)
        judges = kind is Kind.SINGLE_LABEL or (kind is Kind.MULTI_LABEL and criterion.handles_multi_label)
        if judges and (spec.class_path, spec.init_args) != (rule.criterion.class_path, rule.criterion.init_args):
            yield spec


def _criterion_of(single: Single) -> Criterion:
    return CriterionSpec(single.class_path, single.init_args, single.fitted).build()


def _arrays(predictor: EarlyExitPredictor, samples: Sequence[Sample]) -> dict[str, NDArray[np.int64]]:
    return {name: tensor.numpy() for name, tensor in predictor.engine.pad(samples).items()}
