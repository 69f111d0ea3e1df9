"""What the runs of a suite were trained with, as their resolved configurations say."""

import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ee_lightning.files import read_yaml, reading
from ee_lightning.operating import recipe_of
from ee_lightning.reporting import RunFolder
from ee_lightning.reproduce.results.evaluation import Evaluation

_SHOWN = {
    "backbone": "model.backbone",
    "layers": "model.num_layers",
    "objective": "model.objective",
    "exits": "model.heads.exits",
    "pooling": "model.heads.pooling",
    "learning rate": "model.optimization.learning_rate",
    "of the heads": "model.optimization.head_learning_rate",
    "batch": "data.batch_size",
    "epochs": "trainer.max_epochs",
    "tokens": "data.max_length",
    "rows": "data.limit_train",
    "held out": "data.calibration",
    "checkpoint by": "checkpoint.monitor",
}
_ALL = "all"
_UNSET = {"layers": _ALL, "rows": _ALL, "of the heads": "the same"}


def settings(found: Evaluation) -> list[dict[str, str]]:
    """Give a row for each training with its settings; those that differ between its runs are listed.

    Args:
        found: What was found.

    Returns:
        A word or number for each heading, ``training`` first, of the trainings that have runs.
    """
    table = []
    for name in found.suite.trainings:
        runs = [run for task in found.suite.tasks for run in found.runs_of(task, name)]
        configs = [config for run in runs if (config := found.attempt(name, partial(_read, run.folder)))]
        if configs:
            shown = {heading: _distinct(configs, path, heading) for heading, path in _SHOWN.items()}
            table.append({"training": name, **shown})
    return table


def diversity_weights(found: Evaluation) -> dict[str, str]:
    """Give the weight λ of the diversity term for each training that has one."""
    rows = ((row["training"], row["objective"]) for row in settings(found))
    marker = "diversity_weight="
    return {
        training: objective.partition(marker)[2].partition(",")[0].rstrip(")")
        for training, objective in rows
        if marker in objective
    }


def spelt_out(criterion: str) -> str:
    """Name a criterion with all its options, the defaults among them.

    Args:
        criterion: Such as ``voting``.

    Example:
        >>> spelt_out("voting")
        'voting(k=0.75, fallback=last)'
    """
    recipe = recipe_of(criterion)
    parameters = inspect.signature(type(recipe.build())).parameters.values()
    options = {each.name: recipe.init_args.get(each.name, each.default) for each in parameters}
    shown = ", ".join(f"{name}={value}" for name, value in options.items() if value is not None)
    name = criterion.partition("(")[0].strip()
    return f"{name}({shown})" if shown else name


def _read(folder: RunFolder) -> Mapping[str, Any]:
    with reading(folder.config, mend="train again"):
        return read_yaml(folder.config)


def _distinct(configs: Sequence[Mapping[str, Any]], path: str, heading: str) -> str:
    return ", ".join(dict.fromkeys(_shown(_at(config, path), heading) for config in configs))


def _at(config: Mapping[str, Any], path: str) -> Any:
    value: Any = config
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _shown(value: object, heading: str) -> str:
    if isinstance(value, Mapping) and "class_path" in value:
        init_args = value["init_args"] if isinstance(value.get("init_args"), Mapping) else {}
        options = ", ".join(f"{name}={option}" for name, option in init_args.items())
        return f"{str(value['class_path']).rpartition('.')[2]}({options})"
    return _UNSET.get(heading, "–") if value is None else str(value)
