"""What a user deploys without torch: texts in, labels out, by the graphs of an exported model."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypedDict, Unpack

from ee_lightning.errors import RunFolderError, listed, require_at_least_one
from ee_lightning.exits import spec_of
from ee_lightning.inference.deployment import EARLY_EXIT, Deployment
from ee_lightning.inference.policy import AnyCriterion, asked_exits
from ee_lightning.inference.schedule import Schedule
from ee_lightning.inference.text_predictor import TextPredictor
from ee_lightning.inference.together import current
from ee_lightning.runtime.backend import OnnxEngine
from ee_lightning.runtime.encoder import JsonEncoder
from ee_lightning.runtime.manifest import AGAIN, MANIFEST, WEIGHTS, Manifest
from ee_lightning.runtime.sessions import Sessions


class RuntimeOptions(TypedDict, total=False):
    """The options of an engine that a runtime hands on."""

    schedule: Schedule
    batch_size: int
    max_tokens: int | None
    keep_trail: bool


class EarlyExitRuntime(TextPredictor):
    """Predicts texts by a model that ``ee-lightning export`` wrote, in ONNX Runtime, without torch.

    It does what `EarlyExitPredictor` does, and gives the same. A row that is predicted alone goes through one graph
    with the criterion in it, where there is one; batches, other criteria and trails through one graph a layer. Graphs
    are loaded when they are first needed. Several threads may predict with one runtime at once; it can be pickled and
    copied, and a copy shares the graphs.

    Args:
        folder: The folder.
        criterion: A name such as ``voting(k=0.5)``, a criterion or its specification; None takes the exported one.
        threshold: In the criterion's own unit, one for all exits or one for each; None takes the exported one.
        exits: The layers of the exits to ask, such as ``[3, 6, 9, 12]``, the last one among them; others cost nothing.
            A single row goes layer by layer then: it is faster to export these exits. None asks all.
        threads: Number of threads that share an operation; None leaves it to ONNX Runtime.
        **options: ``schedule``, ``batch_size``, ``max_tokens`` and ``keep_trail``, as for `EarlyExitEngine`.

    Attributes:
        manifest: What the folder holds.
        engine_of: Makes engines of the same graphs, each of a criterion, a threshold and options.

    Raises:
        RunFolderError: A file of the folder is missing, damaged, another's, or of another version.
        MissingExtraError: ONNX Runtime is not installed.
        OptionError: It can't load a graph, or an option makes no sense.

    Example:
        ::

            predictor = EarlyExitRuntime("exported")
            predictor("a gripping film")  # TextPrediction(label='positive', probability=0.97, …, exit_layer=2, …)
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        criterion: AnyCriterion | None = None,
        threshold: float | Sequence[float] | None = None,
        exits: Sequence[int] | None = None,
        threads: int | None = None,
        **options: Unpack[RuntimeOptions],
    ) -> None:
        require_at_least_one(threads=1 if threads is None else threads)
        spec = None if criterion is None else spec_of(criterion)  # which imports one's own, if the folder names it
        place = current(Path(folder))
        if not (place / MANIFEST).is_file():
            what = f"this folder holds no exported model: it has no {MANIFEST}"
            raise RunFolderError(what, where=folder, hint="give a folder that ee-lightning export wrote")
        self.manifest = Manifest.read(place)
        self.manifest.check(place)
        deployment = Deployment.read(place / EARLY_EXIT)
        if deployment.num_exits != len(self.manifest.exit_layers):
            what = f"{EARLY_EXIT} is for {deployment.num_exits} exits, and there are {len(self.manifest.exit_layers)}"
            raise RunFolderError(what, where=place / EARLY_EXIT, hint=AGAIN)
        layers = self.manifest.exit_layers
        self.manifest = self.manifest.asking(asked_exits(exits, layers, layers, threshold))
        if (place / WEIGHTS).stat().st_nlink > 1:  # ONNX Runtime takes no branches whose weights have several names
            self.manifest = replace(self.manifest, single=())
        rule = deployment.rule.changed(spec, threshold)
        deployment = replace(deployment, rule=rule, num_exits=len(self.manifest.exit_layers))
        encoder = JsonEncoder(place, deployment, with_types="token_type_ids" in self.manifest.inputs)
        self.engine_of = partial(OnnxEngine, Sessions(place, threads), self.manifest, deployment.target)
        engine = self.engine_of(rule.build(), rule.threshold, **options)
        super().__init__(deployment, encoder, engine, self.manifest.exit_layers)

    def __repr__(self) -> str:
        deployed, manifest = self.deployment, self.manifest
        labels = listed(deployed.label_names) or "a value"
        return (
            f"{type(self).__name__}({deployed.task}: {' and '.join(deployed.text_columns)} -> {labels}; "
            f"{manifest.model_type} of {manifest.depth} layers and {deployed.num_exits} exits, {deployed.rule}, "
            f"in ONNX Runtime, {manifest.precision})"
        )
