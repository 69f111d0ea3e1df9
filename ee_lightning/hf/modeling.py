"""A saved model as `transformers` knows classifiers of sequences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, Self

import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel
from transformers.utils.generic import ModelOutput
from typing_extensions import override

from ee_lightning.errors import DataError, OptionError, counted, listed
from ee_lightning.inference import EarlyExitPredictor
from ee_lightning.inference.config import EarlyExitConfig
from ee_lightning.inference.policy import AnyCriterion, GivenThreshold
from ee_lightning.inference.saved import HubOptions

_NO_MATTER = {"adapter_kwargs", "low_cpu_mem_usage", "trust_remote_code", "use_safetensors"}
"""Options of `transformers` that change nothing here."""
_WITH_FIT = "train with ee-lightning fit, which takes the saved folder as --model.backbone"


@dataclass
class EarlyExitOutput(ModelOutput):
    """What is predicted for a batch.

    Attributes:
        logits: Of the exit at which each row left, ``[batch, classes]``; for regression the predicted values.
        labels: What the criterion says then: class numbers or values, ``[batch]``; of several labels whether each is
            there, ``[batch, labels]``.
        exit_layer: The number of that exit, from 1, ``[batch]``.
        exit_score: The criterion's score there, ``[batch]``.
    """

    logits: Tensor | None = None
    labels: Tensor | None = None
    exit_layer: Tensor | None = None
    exit_score: Tensor | None = None


class EarlyExitForSequenceClassification(PreTrainedModel):  # type: ignore[no-untyped-call]
    """Classifies batches of sequences, each row by as few layers as its criterion allows.

    It is made by `from_pretrained`, also of ``AutoModelForSequenceClassification``, or of a predictor. Rows of a batch
    are predicted as each alone.

    Args:
        config: The configuration of the saved model.
        predictor: What predicts.

    Raises:
        OptionError: There is no predictor.
    """

    config_class = EarlyExitConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    _supports_sdpa = True

    def __init__(self, config: PreTrainedConfig, predictor: EarlyExitPredictor | None = None) -> None:
        if predictor is None:
            what = "a configuration alone makes no early-exit model"
            raise OptionError(what, where=type(self).__name__, hint="load a saved one: from_pretrained(FOLDER)")
        super().__init__(config)
        self.predictor, self.model = predictor, predictor.model
        self.eval()  # type: ignore[no-untyped-call]

    @classmethod
    def of(cls, predictor: EarlyExitPredictor) -> Self:
        """Make it of a predictor, whose model it shares."""
        config = EarlyExitConfig.of(predictor.model.backbone, predictor.deployment, predictor.origin.shown)
        return cls(config, predictor)

    @classmethod
    @override
    def from_pretrained(  # type: ignore[override]
        cls,
        source: str | Path,
        *,
        config: PreTrainedConfig | None = None,
        dtype: torch.dtype | str | None = None,
        torch_dtype: torch.dtype | str | None = None,
        device_map: Any = None,
        criterion: AnyCriterion | None = None,
        threshold: GivenThreshold | None = None,
        exits: Sequence[int] | None = None,
        **others: Any,
    ) -> Self:
        """Load a model that ``ee-lightning save``, ``save_pretrained`` or ``push_to_hub`` wrote.

        Args:
            source: The folder, or a name on the hub.
            config: Its configuration, which is read again; labels that were renamed there hold.
            dtype: float32 (or ``auto``), or bfloat16 for matrix products in it.
            torch_dtype: The earlier name of ``dtype``, which counts where that is None.
            device_map: Where to run: ``auto``, a device, or ``{"": device}``; None takes the processor.
            criterion: As for `EarlyExitPredictor.from_pretrained`.
            threshold: As there.
            exits: As there.
            **others: ``revision``, ``token``, ``cache_dir``, ``local_files_only`` and ``force_download`` for the hub;
                what `transformers` hands on besides changes nothing.

        Raises:
            OptionError: An option makes no sense, or is not known, or the labels of the configuration are not as many
                different names as the model has labels.
            BackboneError: As for `EarlyExitPredictor.from_pretrained`.
            RunFolderError: As there.
        """
        hub = HubOptions(**{name: others.pop(name) for name in HubOptions.__annotations__ if name in others})  # type: ignore[typeddict-item]
        if unknown := [name for name in others if name not in _NO_MATTER and not name.startswith("_")]:
            what = f"an early-exit model takes no option {listed(unknown)}"
            raise OptionError(what, where="from_pretrained", hint="leave it out")
        predictor = EarlyExitPredictor.from_pretrained(
            source,
            criterion=criterion,
            threshold=threshold,
            exits=exits,
            hub=hub,
            device=_device_of(device_map),
            precision=_precision_of(torch_dtype if dtype is None else dtype),
        )
        made = cls.of(predictor)
        made.config.name_or_path = str(source)
        if config is not None:
            made.config.id2label, made.config.label2id = config.id2label, config.label2id
            made._with_labels()
        return made

    @override
    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
    ) -> EarlyExitOutput | tuple[Tensor, ...]:
        """Predict a batch, padded on the right.

        Args:
            input_ids: Token ids, ``[batch, length]``.
            attention_mask: 1 for tokens and 0 for padding, ``[batch, length]``; None where nothing is padded.
            token_type_ids: The sentence of each token, ``[batch, length]``, where the family knows them.
            labels: None: it does not train.
            return_dict: False gives a tuple.

        Raises:
            OptionError: It is to train.
            DataError: There are no rows, they are longer than the model takes or not padded on the right, or their
                tensors differ in shape.
        """
        if labels is not None or self.training:
            raise OptionError("an early-exit model predicts, and does not train here", where="forward", hint=_WITH_FIT)
        given = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
        batch = {name: tensor for name, tensor in given.items() if tensor is not None}
        _check_shapes(batch)
        mask = batch.setdefault("attention_mask", torch.ones_like(input_ids))
        longest, found_longest = self.predictor.deployment.max_length, int(mask.sum(1).amax())
        if found_longest > longest:
            what = f"a row has {found_longest} tokens, and the model takes {longest}"
            hint = f"cut them: tokenizer(texts, truncation=True, max_length={longest})"
            raise DataError(what, where="input_ids", hint=hint)
        found = self._on_its_device().engine.predict_batch(batch)
        output = EarlyExitOutput(
            *map(torch.as_tensor, (found.logits, found.labels, found.exit_layers, found.scores)),
        )
        return output.to_tuple() if return_dict is False else output

    @override
    def save_pretrained(  # type: ignore[override]
        self, save_directory: str | Path, *, push_to_hub: bool = False, repo_id: str | None = None, **options: Any
    ) -> None:
        """Write what ``ee-lightning save`` writes, a card among it, with the labels that the configuration has now.

        Options about shards change nothing.
        """
        self._with_labels().save_pretrained(save_directory)
        if push_to_hub:
            known = ("private", "token", "revision", "commit_message")
            hub = {name: options[name] for name in known if name in options}
            self.predictor.push_to_hub(repo_id or Path(save_directory).name, **hub)

    @override
    def push_to_hub(self, repo_id: str, **options: Any) -> str:  # type: ignore[override]
        """Upload it; options and errors as of `EarlyExitPredictor.push_to_hub`."""
        return self._with_labels().push_to_hub(repo_id, **options)

    def gradient_checkpointing_enable(self, *_: object, **__: object) -> NoReturn:
        """Raise an `OptionError`: it does not train."""
        raise OptionError("an early-exit model predicts, and does not train here", where="model", hint=_WITH_FIT)

    def _with_labels(self) -> EarlyExitPredictor:
        """Return the predictor, whose labels are then those of the configuration."""
        deployment, numbers = self.predictor.deployment, range(self.predictor.deployment.num_classes)
        words: Any = self.config.id2label
        if set(words) != set(numbers) or len(set(words.values())) < len(words):
            names = deployment.label_names or ("LABEL_0",)
            what = f"id2label is {words}, and the model has {counted(len(names), 'label')}: {listed(names)}"
            hint = f"give each number from 0 to {len(names) - 1} a name of its own, and leave out num_labels"
            raise OptionError(what, where="config", hint=hint)
        if deployment.label_names:
            names = tuple(words[number] for number in numbers)
            self.predictor.deployment = replace(deployment, label_names=names)
        return self.predictor

    def _on_its_device(self) -> EarlyExitPredictor:
        """Return the predictor, made again where the model was moved."""
        if self.device != self.predictor.engine.device:
            self.predictor = self.predictor.on(self.device)
        return self.predictor


def _check_shapes(batch: Mapping[str, Tensor]) -> None:
    shapes = {name: list(tensor.shape) for name, tensor in batch.items()}
    expected = shapes["input_ids"]
    if len(expected) != 2 or 0 in expected:
        what, hint = f"input_ids has the shape {expected}", "give token ids of one row or more: [batch, length]"
        raise DataError(what, where="input_ids", hint=hint)
    for name, shape in shapes.items():
        if shape != expected:
            what = f"{name} has the shape {shape}, and input_ids {expected}"
            raise DataError(what, where=name, hint="give all that the tokenizer returned for these rows")


def _device_of(device_map: object) -> str:
    if isinstance(device_map, Mapping) and set(device_map) == {""}:
        device_map = device_map[""]
    if isinstance(device_map, Mapping):
        what = "an early-exit model runs on one device, and is not shared out over several"
        raise OptionError(what, where="device_map", hint="give auto, cpu or cuda")
    if isinstance(device_map, int):
        return f"cuda:{device_map}"
    return "cpu" if device_map is None else str(device_map)


def _precision_of(dtype: torch.dtype | str | None) -> Any:
    name = str(dtype).removeprefix("torch.")
    known = {"None": "fp32", "auto": "fp32", "float32": "fp32", "bfloat16": "bf16"}
    if name not in known:
        raise OptionError(f"the weights are not cast to {name}", where="dtype", hint="give float32 or bfloat16")
    return known[name]


AutoModelForSequenceClassification.register(EarlyExitConfig, EarlyExitForSequenceClassification, exist_ok=True)
