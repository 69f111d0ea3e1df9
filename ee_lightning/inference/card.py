"""The model card of a saved model, and what it tells of the model's origin."""

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import EvalResult, ModelCardData
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils._validators import validate_repo_id

from ee_lightning.errors import listed
from ee_lightning.functional import Kind
from ee_lightning.inference.deployment import Deployment
from ee_lightning.packaged import PREFIX
from ee_lightning.runs.operating_point import OperatingPoint

CARD, PICTURE = "README.md", "curves.png"
_OURS = "<!-- Written by ee_lightning. Delete this line to keep the text when the model is saved here again. -->"
_SHOWN = {"speedup": "speed-up by layers", "clock": "speed-up on the clock", "consistency": "as the full model says"}


@dataclass(frozen=True)
class Origin:
    """What a saved model tells of where it comes from.

    Attributes:
        backbone: The pretrained weights, by the name that they were given to ``fit``; None where that is not known.
        picture: The curves of the run, as PNG; None where there are none.
    """

    backbone: str | None = None
    picture: bytes | None = None

    @classmethod
    def of_folder(cls, folder: Path, backbone: str | None) -> "Origin":
        """Take the curves that lie in a folder."""
        file = folder / PICTURE
        return cls(backbone, file.read_bytes() if file.is_file() else None)

    @property
    def shown(self) -> str | None:
        """The name of the pretrained weights as others may see it: of a folder on this machine its own name alone."""
        name = self.backbone
        return name if name is None or name.startswith(PREFIX) or self.name_on_hub else Path(name).name

    @property
    def name_on_hub(self) -> str | None:
        """The name of the pretrained weights, if it can be one on the hub."""
        name = self.backbone or ""
        try:
            validate_repo_id(name)
        except HFValidationError:
            return None
        return name if name.count("/") == 1 and not Path(name).exists() else None


def write_card(folder: Path, deployment: Deployment, family: str, depth: int, origin: Origin, *, over: Path) -> None:
    """Write the card and its picture into a folder, unless a user's own card lies where the folder is to take a place.

    Args:
        folder: The folder.
        deployment: What the model predicts, and when samples leave.
        family: The ``model_type`` of the backbone.
        depth: Its number of layers.
        origin: Where it comes from.
        over: The folder whose place it is to take.
    """
    if origin.picture is not None:
        (folder / PICTURE).write_bytes(origin.picture)
    before = over / CARD
    if not before.is_file() or _OURS in before.read_text(encoding="utf-8", errors="replace"):
        (folder / CARD).write_text(card_of(deployment, family, depth, origin), encoding="utf-8")


def card_of(deployment: Deployment, family: str, depth: int, origin: Origin) -> str:
    """Return the text of a card; arguments as of `write_card`."""
    point, task = deployment.rule.operating_point, deployment.task
    data = ModelCardData(
        base_model=origin.name_on_hub,
        library_name="ee_lightning",
        pipeline_tag="text-classification",
        tags=["early-exit", "ee_lightning"],
        model_name=None if point is None else task,
        eval_results=None if point is None else _results(point, task),
    )
    kind, labels = deployment.target.kind, listed(deployment.label_names)
    facts = {
        "pretrained weights": f"`{origin.shown}`" if origin.shown else "not known",
        "encoder": f"{family}, {depth} layers, {deployment.num_exits} exits",
        "task": f"{task}: {kind.value}{f' ({labels})' if labels else ''}",
        "takes": f"{' and '.join(deployment.text_columns)}, up to {deployment.max_length} tokens",
        "early exit": f"{deployment.rule}",
    }
    parts = [
        f"---\n{data.to_yaml()}\n---\n{_OURS}\n# {task}, with early exit",
        "A text leaves this encoder at the first exit where the criterion reaches its threshold; the layers after "
        "that exit are not run.",
        "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts.items())]),
    ]
    if point is not None:
        parts.append(_measured(point))
    if origin.picture is not None:
        parts.append(f"![Score by speed-up]({PICTURE})")
    parts.append(_USE.replace("Labels and probabilities", "Values") if kind is Kind.REGRESSION else _USE)
    return "\n\n".join(parts)


def _results(point: OperatingPoint, task: str) -> list[EvalResult]:
    named = {point.asked.metric: "score", "speedup": "speedup"}
    return [
        EvalResult("text-classification", task, task, metric, round(point.reached[figure].value, 6))
        for metric, figure in named.items()
        if figure in point.reached
    ]


def _measured(point: OperatingPoint) -> str:
    names = {"score": point.asked.metric, "full_score": f"{point.asked.metric} of the full model", "loss": "loss"}
    rows = [
        f"| {(names | _SHOWN).get(name, name)} | {each.value:.4g} | {each.low:.4g} to {each.high:.4g} |"
        for name, each in point.reached.items()
    ]
    return "\n".join(
        [
            "## Operating point",
            "",
            f"The threshold was chosen on {point.chosen_on} rows of the split {point.asked.split} for "
            f"`{point.asked.budget}` {point.asked.value:g}, and measured on {point.measured_on} others:",
            "",
            f"| figure | value | {point.confidence:.0%} interval |",
            "|---|---|---|",
            *rows,
        ]
    )


_USE = """\
## Use

Install `ee_lightning[torch]`. Labels and probabilities, with the exit of each text:

```python
import ee_lightning.hf  # registers the model type early_exit
from transformers import pipeline

classify = pipeline("text-classification", model="THIS FOLDER OR NAME")
```

or, with streams, other thresholds and the command line:

```python
from ee_lightning.inference import EarlyExitPredictor

predictor = EarlyExitPredictor.from_pretrained("THIS FOLDER OR NAME")
```
"""
