"""The ``config.json`` of a saved model, by which transformers knows that it is none of its own."""

from typing import Any, Literal

from transformers import AutoConfig, PreTrainedConfig

from ee_lightning.functional import Kind
from ee_lightning.inference.deployment import Deployment

Problem = Literal["regression", "single_label_classification", "multi_label_classification"]
PROBLEMS: dict[Kind, Problem] = {
    Kind.REGRESSION: "regression",
    Kind.SINGLE_LABEL: "single_label_classification",
    Kind.MULTI_LABEL: "multi_label_classification",
}


class EarlyExitConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """The configuration of a saved model.

    `AutoConfig` reads it once ee_lightning is imported; there is no such model for `AutoModel` and ``pipeline``.

    Attributes:
        backbone: The fields of the backbone's own configuration.
    """

    model_type = "early_exit"
    backbone: dict[str, Any] | None = None

    @classmethod
    def of(cls, backbone: PreTrainedConfig, deployment: Deployment) -> "EarlyExitConfig":
        """Make the configuration of a backbone's configuration and what the model predicts."""
        names = deployment.label_names or ("LABEL_0",)
        return cls(
            backbone=backbone.to_diff_dict() | {"model_type": backbone.model_type},
            id2label=dict(enumerate(names)),
            label2id={name: number for number, name in enumerate(names)},
            problem_type=PROBLEMS[deployment.kind],
        )


AutoConfig.register(EarlyExitConfig.model_type, EarlyExitConfig, exist_ok=True)
