"""A trained model from its run folder."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from pydantic import PositiveInt
from torch import Tensor

from ee_lightning.data import CustomTask, Task, resolve_task
from ee_lightning.errors import DataError, OptionError, RunFolderError
from ee_lightning.exits import StoredExits
from ee_lightning.files import check_imported, found_in, read_yaml, reading, typed
from ee_lightning.models import HeadOptions, MultiExitModel, restore_model, untrained_model
from ee_lightning.models.adapter_files import Adapters
from ee_lightning.models.backbones.loading import backbone_config
from ee_lightning.models.lora import LoraOptions, merged
from ee_lightning.models.restoring import find_device
from ee_lightning.runs.folder import RunFolder

if TYPE_CHECKING:  # these take seconds to import, and predictions for texts do without
    from datasets import Dataset

    from ee_lightning.data.tokenised import TaskRows

_MODEL = "model."  # what the names of a checkpoint's tensors of the model begin with


@dataclass(frozen=True)
class RunOptions:
    """The options of a run that its model and its data depend on, as `EarlyExitModule` and `TaskDataModule` take them.

    The backbone's tokenizer is used too. With a data module of the user's own, that alone reads the rows.
    """

    backbone: str
    num_layers: int | None
    heads: HeadOptions
    task: Task
    own: CustomTask | None
    root: str | None
    max_length: int
    has_own_module: bool = False
    lora: LoraOptions | None = None
    adapter: str | None = None

    def check_rows(self) -> None:
        """Raise a `DataError` where a data module of the user's own alone can read the task's rows."""
        if self.has_own_module:
            raise DataError(
                f"the run's rows are read by its own data module, {self.task.name}",
                where="data.class_path of its config.yaml",
                hint="give rows, as in 'ee-lightning predict RUN --input FILE'; the speed can't be measured on its own",
            )

    def rows(self) -> "TaskRows":
        """Return the rows of the run's task."""
        self.check_rows()
        from ee_lightning.data.tokenised import TaskRows

        return TaskRows(self.task, self.root, self.backbone, self.max_length)

    @classmethod
    def read(cls, folder: RunFolder) -> "RunOptions":
        """Read them from a run's ``config.yaml``; raise a `RunFolderError` where that is missing or damaged."""
        folder.check_is_run()
        file = folder.config
        hint = "name the folder of a run, such as runs/demo/version_0; one from Python needs ExitSweep"
        with reading(file, hint=hint):
            options = read_yaml(file)
            own_module = "class_path" in options["data"]
            if own_module:
                described = folder.read_module_task()
                options["data"] = {"task": described.name, "max_length": described.max_length}
            config = typed(_Config, options, others=True)
            model, data = config.model, config.data
            if model.adapter is not None:
                check_imported(model.adapter, "adapter")
            own = None if data.own is None else typed(CustomTask, data.own, at="data.own")
            return cls(
                backbone=model.backbone,
                num_layers=model.num_layers,
                heads=typed(HeadOptions, model.heads, at="model.heads"),
                lora=None if model.lora is None else typed(LoraOptions, model.lora, at="model.lora"),
                task=described.as_task() if own_module else resolve_task(data.task, own, data.root),
                own=own,
                root=data.root,
                max_length=data.max_length,
                has_own_module=own_module,
                adapter=model.adapter,
            )


@dataclass(frozen=True)
class _ModelConfig:
    backbone: str
    heads: dict[str, Any]
    num_layers: PositiveInt | None = None
    adapter: str | None = None
    lora: dict[str, Any] | None = None


@dataclass(frozen=True)
class _DataConfig:
    task: str
    max_length: PositiveInt
    root: str | None = None
    own: dict[str, Any] | None = None


@dataclass(frozen=True)
class _Config:
    """What of a ``config.yaml`` is read here."""

    model: _ModelConfig
    data: _DataConfig


def load_run(folder: RunFolder, split: str) -> tuple[MultiExitModel, "Dataset"]:
    """Load the model of a run, where it is to be measured, and the tokenised rows of a split."""
    options = RunOptions.read(folder)
    return read_model(folder, options).to(find_device("auto")), options.rows().of(split)


def evaluated_rows(rows: "Dataset", exits: StoredExits) -> "Dataset":
    """Return those tokenised rows of a split that stored exits are of, in order; raise a `DataError` if one is gone."""
    ids = exits.ids.numpy()  # [samples]
    if not exits.rows.files:  # as older releases stored them, with positions for ids
        if ids.max() >= len(rows):
            raise DataError(
                f"the stored exits are of row {ids.max()}, and the split has {len(rows)} rows",
                where="ids",
                hint="bring the run's data back to where its config.yaml says, or evaluate the checkpoint again",
            )
        return rows.select(ids)
    from ee_lightning.data.tokenised import positions_of

    return rows.select(positions_of(rows, ids, where=", ".join(exits.rows.files)))


def whole_model(options: RunOptions) -> MultiExitModel | None:
    """Make the model of all layers beside a run's that has only the first of them, where speed is measured.

    Its weights, which don't matter there, are drawn at random. If the run's has all layers, there is none.
    """
    if options.num_layers is None:
        return None
    heads = replace(options.heads, exits="last")
    whole = untrained_model(backbone_config(options.backbone), options.task.target, heads)
    return whole.to(find_device("auto"))


def read_model(folder: RunFolder, options: RunOptions, checkpoint: str | Path | None = None) -> MultiExitModel:
    """Read a run's model, without the pretrained weights that it started from.

    Args:
        folder: The run folder.
        options: The run's.
        checkpoint: A file, or the name of one in the run folder's ``checkpoints/``; None takes that whose exits were
            swept, which is the best.

    Raises:
        RunFolderError: There is no such checkpoint, it is not known which one, or it can't be read.
        BackboneError: It is of another model, or the backbone's configuration is not available.
    """
    file = _checkpoint(folder, checkpoint)
    config = backbone_config(options.backbone, options.num_layers)
    tensors = _tensors(file)
    if options.lora is not None:
        tensors = merged(tensors, options.lora, file)
    return restore_model(config, options.task.target, options.heads, tensors, where=file)


def read_adapters(folder: RunFolder, options: RunOptions) -> Adapters:
    """Read the adapters that a run trained, from the checkpoint of `read_model`, or raise an `OptionError`."""
    if options.lora is None:
        what = "this run trained no adapters, but the backbone's own weights"
        raise OptionError(what, where="--as-adapter", hint="leave it out")
    return Adapters.of(_tensors(_checkpoint(folder, None)), options.lora, options.backbone)


def _checkpoint(folder: RunFolder, named: str | Path | None) -> Path:
    if named is not None:
        found = [file for file in (folder.checkpoints / named, Path(named)) if file.is_file()][:1]
        problem = f"there is no checkpoint {named}"
    elif swept := folder.swept_checkpoints():
        found = swept if len(swept) > 1 else [file for file in swept if file.is_file()]
        problem = "the exits of several checkpoints were swept" if found else "the checkpoint that was swept is gone"
    else:
        found = [file for file in found_in(folder.checkpoints, "*.ckpt") if file != folder.last_checkpoint]
        problem = f"no checkpoint is recorded as the best, and there are {len(found)} beside last.ckpt"
    if len(found) != 1:
        raise RunFolderError(
            problem,
            where=folder.checkpoints,
            hint="name one from Python with checkpoint=, or evaluate one by 'ee-lightning validate --config "
            "RUN/config.yaml --ckpt_path FILE' and take the run folder that this makes",
        )
    return found[0]


def _tensors(checkpoint: Path) -> dict[str, Tensor]:
    """Read the model's tensors alone, which a checkpoint keeps beside the optimiser's."""
    try:
        tensors = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
        return {name.removeprefix(_MODEL): tensor for name, tensor in tensors.items() if name.startswith(_MODEL)}
    except Exception as error:  # of any kind, as a damaged file may be unpickled to anything
        raise RunFolderError(
            f"the checkpoint can't be read: {str(error).strip().partition(chr(10))[0] or 'it is empty'}",
            where=checkpoint,
            hint="take another checkpoint, or train again",
        ) from error
