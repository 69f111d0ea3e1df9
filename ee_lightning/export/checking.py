"""Exported graphs beside the model that they were made of, on real rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ee_lightning.errors import BackboneError
from ee_lightning.exits import Criterion, StoredExits, at_exits, replay
from ee_lightning.export.sessions import run, session_of
from ee_lightning.export.single import EXIT, LABEL, THRESHOLDS
from ee_lightning.functional import Target, same_rows
from ee_lightning.inference import EarlyExitPredictor, ExitPolicy, Sample
from ee_lightning.inference.all_exits import exits_of
from ee_lightning.runtime.backend import OnnxBackend, least_numbers
from ee_lightning.runtime.manifest import Manifest
from ee_lightning.runtime.sessions import Sessions

TOLERANCE = 1e-4
"""The most that a logit in float32 may differ from the model's."""
NEAR = 1e-5
"""How near a score has to be to the threshold for rounding to change the exit."""
_ROWS, _SINGLE_ROWS = 64, 8

RunExits = Callable[[Sequence[Sample]], StoredExits]


@dataclass(frozen=True)
class Checks:
    """How near graphs come to their model.

    Attributes:
        rows: Number of rows.
        difference: The largest difference of a logit of any exit.
        same_exits: How many rows leave at the same exit, by the model's own rule.
        same_labels: How many get the same label there.
    """

    rows: int
    difference: float
    same_exits: int
    same_labels: int


def exits_in_runtime(folder: Path, manifest: Manifest, target: Target) -> RunExits:
    """Return what runs the exported exits of a folder on samples, in ONNX Runtime with as many threads as torch has."""
    backend = OnnxBackend(Sessions(folder, torch.get_num_threads()), manifest, target)
    has_types = "token_type_ids" in manifest.inputs

    def run_exits(samples: Sequence[Sample]) -> StoredExits:
        typed = [Sample(ids, types or [0] * len(ids)) for ids, types in samples] if has_types else samples
        return exits_of(backend, manifest.exit_layers, typed, manifest.fills)

    return run_exits


def check_stages(
    predictor: EarlyExitPredictor, run_exits: RunExits, samples: Sequence[Sample], *, exactly: bool
) -> Checks:
    """Compare what all exits say of some rows; if it has to be the same, but is not, raise a BackboneError."""
    some = samples[:: max(1, len(samples) // _ROWS)][:_ROWS]
    ours = run_exits(some)
    with torch.inference_mode():
        said = [predictor.model(**predictor.engine.pad([sample])) for sample in some]
    logits = torch.cat([each.logits for each in said], 1)  # [exits, samples, classes]
    theirs = StoredExits(
        logits=logits,
        labels=None,
        ids=ours.ids,
        extras={name: torch.cat([each.extras[name] for each in said], 1) for name in ours.extras},
        multi_label=ours.multi_label,
        layers_of_exits=ours.layers_of_exits,
    )
    difference = (ours.logits - theirs.logits).abs().max().item()
    if exactly and not difference <= TOLERANCE:
        what = f"logits of the exported graphs differ from the model's by {difference:.2g}, which is more than rounding"
        hint = "run it with the torch engine, which takes every model: save and predict"
        raise BackboneError(what, where=predictor.model.backbone.encoder.config.model_type, hint=hint)
    rule, criterion = predictor.deployment.rule, predictor.deployment.rule.build()
    (exits, labels), (true_exits, true_labels) = (replay(criterion, each).at(rule.threshold) for each in (ours, theirs))
    return Checks(
        rows=len(some),
        difference=difference,
        same_exits=int((exits == true_exits).sum()),
        same_labels=int(same_rows(labels, true_labels).sum()),
    )


def check_single(
    file: Path,
    criterion: Criterion,
    rule: ExitPolicy,
    predictor: EarlyExitPredictor,
    run_exits: RunExits,
    samples: Sequence[Sample],
) -> None:
    """Compare the graph for single rows with a replay of what the stages say; raise a BackboneError if they differ.

    A criterion other than the rule's is tried at the middle of its scores.
    """
    session, some = session_of(file), samples[:: max(1, len(samples) // _SINGLE_ROWS)][:_SINGLE_ROWS]
    stored = [run_exits([sample]) for sample in some]
    scores = torch.cat([replay(criterion, each).scores.flatten() for each in stored])
    is_rule = criterion.name == rule.build().name
    threshold = rule.threshold if is_rule else scores.median().item()
    for sample, each in zip(some, stored, strict=True):
        replayed, thresholds = replay(criterion, each), least_numbers(at_exits(threshold, each.num_exits))
        exits, labels = replayed.at(threshold)
        arrays = {name: tensor.numpy() for name, tensor in predictor.engine.pad([sample]).items()}
        label, exit_layer = run(session, {**arrays, THRESHOLDS: thresholds}, [LABEL, EXIT])
        same = int(exit_layer) == exits.item() and bool(same_rows(torch.as_tensor(label), labels).all())
        if not same and (replayed.scores[:, 0] - torch.from_numpy(thresholds)).abs().min() > NEAR:
            what = f"the graph for single rows lets one leave at exit {int(exit_layer)} by {criterion.name}, and layer "
            what += f"by layer it leaves at exit {exits.item()}"
            raise BackboneError(what, where=file.name, hint="take another criterion")
