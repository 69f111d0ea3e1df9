"""The configuration of a saved model, as `transformers` reads it."""

from typing import Any, Literal

from transformers import AutoConfig, PreTrainedConfig

from ee_lightning.functional import Kind
from ee_lightning.inference.deployment import Deployment
from ee_lightning.models import Backbone

Problem = Literal["regression", "single_label_classification", "multi_label_classification"]
_PROBLEMS: dict[Kind, Problem] = {
    Kind.REGRESSION: "regression",
    Kind.SINGLE_LABEL: "single_label_classification",
    Kind.MULTI_LABEL: "multi_label_classification",
}


class EarlyExitConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """The configuration of a saved model.

    `AutoConfig` reads it once this is imported, and ``AutoModelForSequenceClassification`` and ``pipeline`` load the
    model once `ee_lightning.hf` is. The field ``backbone`` holds those of the backbone's own configuration, ``adapter``
    the name of an adapter's class of your own, and ``base_model`` what the pretrained weights were called.
    """

    model_type = "early_exit"
    backbone: dict[str, Any] | None = None
    adapter: str | None = None
    base_model: str | None = None

    @classmethod
    def of(cls, backbone: Backbone, deployment: Deployment, base_model: str | None) -> "EarlyExitConfig":
        """Make the configuration of a backbone, what the model predicts, and the name of the pretrained weights."""
        names, config, adapter = deployment.label_names or ("LABEL_0",), backbone.encoder.config, type(backbone)
        is_ours = adapter.__module__.startswith("ee_lightning.")
        return cls(
            backbone=config.to_diff_dict() | {"model_type": config.model_type},
            base_model=base_model,
            architectures=["EarlyExitForSequenceClassification"],
            adapter=None if is_ours else f"{adapter.__module__}.{adapter.__qualname__}",
            id2label=dict(enumerate(names)),
            label2id={name: number for number, name in enumerate(names)},
            problem_type=_PROBLEMS[deployment.target.kind],
        )


AutoConfig.register(EarlyExitConfig.model_type, EarlyExitConfig, exist_ok=True)
