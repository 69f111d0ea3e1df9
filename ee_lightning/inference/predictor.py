"""What a user deploys: texts in, labels out, as early as the operating point allows."""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import torch
from transformers import PreTrainedTokenizerBase

from ee_lightning.data import Task
from ee_lightning.data.custom import ModuleTask
from ee_lightning.data.encoding import load_tokenizer
from ee_lightning.errors import DataError, OptionError, listed
from ee_lightning.exits import StoredExits
from ee_lightning.exits.naming import spec_of
from ee_lightning.inference.all_exits import exits_of
from ee_lightning.inference.card import Origin
from ee_lightning.inference.deployment import Deployment
from ee_lightning.inference.encoder import TokenizerEncoder
from ee_lightning.inference.engine import EarlyExitEngine
from ee_lightning.inference.policy import AnyCriterion, ExitPolicy, GivenThreshold, asked_exits, policy_of_run
from ee_lightning.inference.saved import HubOptions, find_folder, read_folder, upload_folder, write_folder
from ee_lightning.inference.schedule import Precision, Schedule
from ee_lightning.inference.text_predictor import TextPredictor
from ee_lightning.models import MultiExitModel
from ee_lightning.models.adapter_files import Adapters
from ee_lightning.models.lora import merge_adapters
from ee_lightning.models.restoring import find_device
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.load_run import RunOptions, read_model

if TYPE_CHECKING:
    from lightning import LightningDataModule

    from ee_lightning.training import EarlyExitModule


class EngineOptions(TypedDict, total=False):
    """The options of `EarlyExitEngine` that a predictor hands on."""

    schedule: Schedule
    batch_size: int
    max_tokens: int | None
    precision: Precision
    keep_trail: bool


class PredictorOptions(EngineOptions, total=False):
    """The options of `EarlyExitPredictor`."""

    device: str


class EarlyExitPredictor(TextPredictor):
    """Predicts texts with a trained model, each by as few layers as its criterion allows.

    Several threads may predict with one predictor at once.

    Args:
        model: The model.
        tokenizer: Its tokenizer, a fast one.
        deployment: What it predicts, and when samples leave.
        device: ``cpu``, ``cuda``, ``cuda:1``, or ``auto`` for the GPU if there is one; the model is moved there.
        origin: Where the model comes from, as its card tells.
        **options: Those of `EarlyExitEngine`: ``schedule``, ``batch_size``, ``max_tokens``, ``precision`` and
            ``keep_trail``.

    Raises:
        OptionError: An option makes no sense, or the criterion was not fitted or can't judge the model's exits.

    Example:
        ::

            predictor = EarlyExitPredictor.from_run("runs/demo/version_0")
            predictor("a gripping film")  # TextPrediction(label='positive', probability=0.97, …, exit_layer=2, …)
            predictor(["a gripping film", "a dull one"])  # a list of two
            for prediction in predictor.stream(texts):  # any number of them, one after the other
                ...
            predictor.save_pretrained("my-model")
            predictor = EarlyExitPredictor.from_pretrained("my-model")
    """

    def __init__(
        self,
        model: MultiExitModel,
        tokenizer: PreTrainedTokenizerBase,
        deployment: Deployment,
        *,
        device: str = "auto",
        origin: Origin | None = None,
        **options: Unpack[EngineOptions],
    ) -> None:
        self.origin, self._options = origin or Origin(), options
        self._encoder: TokenizerEncoder = TokenizerEncoder(tokenizer, deployment)
        self.engine: EarlyExitEngine = EarlyExitEngine(
            model.to(find_device(device)),
            deployment.rule.build(),
            deployment.rule.threshold,
            **options,
            pad_token_id=tokenizer.pad_token_id,
            pad_token_type_id=tokenizer.pad_token_type_id,
        )
        super().__init__(deployment, self._encoder, self.engine, model.layers_of_exits)

    @property
    def model(self) -> MultiExitModel:
        """The model, on its device, in evaluation mode."""
        return self.engine.model

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The model's tokenizer."""
        return self._encoder.tokenizer

    @classmethod
    def from_run(
        cls,
        run: str | Path,
        checkpoint: str | Path | None = None,
        *,
        criterion: AnyCriterion | None = None,
        threshold: GivenThreshold | None = None,
        exits: Sequence[int] | None = None,
        **options: Unpack[PredictorOptions],
    ) -> "EarlyExitPredictor":
        """Load the model of a run folder, at the operating point that ``ee-lightning choose`` saved there.

        Args:
            run: The run folder, such as ``runs/demo/version_0``.
            checkpoint: A file, or the name of one in the run's ``checkpoints/``; None takes that whose exits were
                swept, which is the best.
            criterion: A name such as ``voting(k=0.5)``, a criterion or its specification.
            threshold: In the criterion's own unit, one for all exits or one for each that is asked; None for both takes
                the operating point's.
            exits: The layers of the exits to ask, such as ``[3, 6, 9, 12]``, the last one among them; others are
                neither run nor counted. None asks the operating point's, or beside criterion and threshold all.
            **options: Those of the class.

        Raises:
            RunFolderError: Something is missing or damaged; no operating point was chosen and no rule is given.
            BackboneError: The weights belong to another model, or the backbone's configuration or tokenizer is missing.
            DataError: The run's task is unknown.
            OptionError: An option makes no sense.
        """
        folder = RunFolder(run)
        settings = RunOptions.read(folder)
        model = read_model(folder, settings, checkpoint)
        rule, asked = policy_of_run(folder, model.layers_of_exits, criterion, threshold, exits)
        model = model.asking(asked)
        heads = replace(settings.heads, exits=model.heads.options.exits)
        deployment = Deployment.of_task(settings.task, model.num_exits, settings.max_length, heads, rule)
        origin = Origin.of_folder(folder.path, settings.backbone)
        return cls(model, load_tokenizer(settings.backbone), deployment, origin=origin, **options)

    @classmethod
    def from_module(
        cls,
        module: "EarlyExitModule",
        data: "LightningDataModule | None" = None,
        *,
        criterion: AnyCriterion,
        threshold: GivenThreshold,
        exits: Sequence[int] | None = None,
        **options: Unpack[PredictorOptions],
    ) -> "EarlyExitPredictor":
        """Copy the model that a module has now, such as after `Trainer.fit`; the module may go on training.

        Args:
            module: The module.
            data: The data module of its training; None takes that of its trainer. One of your own says by its
                attributes what is predicted, as in ``examples/own_data.py``; the tokenizer is then the backbone's.
            criterion: A name such as ``voting(k=0.5)``, a criterion or its specification; fitted if it has to be.
            threshold: In the criterion's own unit, one for all exits or one for each; with infinity none leaves early.
            exits: The layers of the exits to ask, as for `from_run`; None asks all.
            **options: Those of the class.

        Raises:
            OptionError: The module is another, the data are missing or of another task, or an option makes no sense.
            BackboneError: The tokenizer of the data is not available.
        """
        if not isinstance(getattr(module, "model", None), MultiExitModel):
            what = f"{type(module).__name__} holds no MultiExitModel as its attribute model"
            raise OptionError(what, where="module", hint="give an EarlyExitModule")
        known: Any = data or getattr(module._trainer, "datamodule", None)
        if known is None:
            what = "it is not known what the model predicts of which texts"
            raise OptionError(what, where="data", hint="give the data module of its training")
        task, model = getattr(known, "task", None), deepcopy(module.model)
        merge_adapters(model)
        if isinstance(task, Task):
            max_length, tokenizer = known.max_length, known.tokenizer_name
        else:
            described = ModuleTask.of(known)
            task, max_length, tokenizer = described.as_task(), described.max_length, module.hparams["backbone"]
        if task.target != model.target:
            what = f"the module has {model.target.num_classes} outputs for {model.target.kind.value}, and {task.name} "
            what += f"{task.target.num_classes} for {task.target.kind.value}"
            raise OptionError(what, where="data", hint="give the data that it is trained on")
        rule = ExitPolicy.given(criterion, threshold)
        model = model.asking(model.layers_of_exits if exits is None else exits)
        deployment = Deployment.of_task(task, model.num_exits, max_length, model.heads.options, rule)
        origin = Origin(str(module.hparams["backbone"]) if "backbone" in module.hparams else None)
        return cls(model, load_tokenizer(tokenizer), deployment, origin=origin, **options)

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        criterion: AnyCriterion | None = None,
        threshold: GivenThreshold | None = None,
        exits: Sequence[int] | None = None,
        hub: HubOptions | None = None,
        **options: Unpack[PredictorOptions],
    ) -> "EarlyExitPredictor":
        """Load a model that `save_pretrained` wrote.

        Nothing is imported that the folder names: a criterion of your own has to be imported beforehand.

        Args:
            source: The folder, or a name on the hub.
            criterion: As for `from_run`; None takes the one saved.
            threshold: None takes the one saved, which has to be of this criterion and these exits.
            exits: As for `from_run`; None asks all that the model was saved with.
            hub: How it is asked for on the hub, such as ``{"revision": "v2"}``.
            **options: Those of the class.

        Raises:
            RunFolderError: ``early_exit.json`` is missing, damaged, of a newer release, or of another model.
            BackboneError: There is no such folder or model, or weights, configuration or tokenizer are damaged.
            OptionError: An option makes no sense.
        """
        spec = None if criterion is None else spec_of(criterion)  # which imports one's own, if the folder names it
        model, tokenizer, deployment, origin = read_folder(find_folder(str(source), **(hub or {})))
        rule = deployment.rule.changed(spec, threshold)
        model = model.asking(asked_exits(exits, model.layers_of_exits, model.layers_of_exits, threshold))
        heads = replace(deployment.heads, exits=model.heads.options.exits)
        deployment = replace(deployment, rule=rule, num_exits=model.num_exits, heads=heads)
        return cls(model, tokenizer, deployment, origin=origin, **options)

    def on(self, device: str | torch.device) -> "EarlyExitPredictor":
        """Return a predictor with the same model and options on a device, to which the model is moved."""
        return EarlyExitPredictor(
            self.model, self.tokenizer, self.deployment, device=str(device), origin=self.origin, **self._options
        )

    def save_pretrained(self, folder: str | Path, *, adapters: Adapters | None = None) -> None:
        """Write everything that it takes to run the model elsewhere into one folder, which need not exist yet.

        Its card, ``README.md``, is written again each time, unless it is a user's own.

        Args:
            folder: The folder.
            adapters: Those that the model was trained with, of `ee_lightning.runs.load_run.read_adapters`, to write in
                place of the backbone with them merged; the pretrained weights are then needed elsewhere, too.

        Raises:
            RunFolderError: It can't be written.
            OptionError: It is no name of a folder.
        """
        if folder == "" or not isinstance(folder, str | Path):
            raise OptionError(
                f"{folder!r} names no folder", where="folder", hint="name one, such as my-model; '.' is the present one"
            )
        write_folder(Path(folder), self.model, self._encoder, self.deployment, self.origin, adapters)

    def push_to_hub(
        self,
        name: str,
        *,
        private: bool | None = None,
        token: str | None = None,
        revision: str | None = None,
        commit_message: str | None = None,
    ) -> str:
        """Upload what `save_pretrained` writes, card and curves among it, and return the address of the commit.

        Args:
            name: The repository, ``name`` or ``organisation/name``; it is made if it is not there.
            private: Whether a new one is private; None leaves it to the hub.
            token: The token to log in by; None takes that of ``hf auth login``.
            revision: The branch; None takes the main one.
            commit_message: What the commit is called.

        Raises:
            BackboneError: The name is none, the hub can't be reached, or it refuses.
            OptionError: The model's weights are quantised.
        """
        with TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            return upload_folder(
                Path(folder), name, private=private, token=token, revision=revision, commit_message=commit_message
            )

    def exits_of(self, texts: str | Iterable[Any], pairs: str | Iterable[str] | None = None) -> StoredExits:
        """Return what all exits say of texts, or of pairs of them, as criteria replay it; no text leaves early.

        Raises:
            DataError: As for predictions, or there are no texts.
        """
        samples = self.tokenise(texts, pairs)
        if not samples:
            raise DataError("there are no texts", where="texts", hint="give one or more")
        return exits_of(self.engine.descent.backend, self.layers_of_exits, samples, self.engine.fills)

    def __repr__(self) -> str:
        deployed, config = self.deployment, self.model.backbone.encoder.config
        labels = listed(deployed.label_names) or "a value"
        return (
            f"{type(self).__name__}({deployed.task}: {' and '.join(deployed.text_columns)} -> {labels}; "
            f"{config.model_type} of {self.model.backbone.num_layers} layers and {deployed.num_exits} exits, "
            f"{deployed.rule}, on {self.engine.device})"
        )
