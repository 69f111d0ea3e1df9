"""The folder of a deployed model: written whole or not at all, and read wherever ee_lightning is installed."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedTokenizerBase
from transformers.utils import CONFIG_NAME
from transformers.utils.peft_utils import ADAPTER_CONFIG_NAME

from ee_lightning.data.encoding import load_tokenizer
from ee_lightning.errors import BackboneError, EarlyExitError, OptionError, RunFolderError, first_line, hint_for
from ee_lightning.files import UNFINISHED, check_imported, read_json, reading
from ee_lightning.inference.deployment import EARLY_EXIT, Deployment, EarlyExitConfig
from ee_lightning.inference.texts import TextEncoder
from ee_lightning.models import MultiExitModel, restore_model
from ee_lightning.models.backbones.loading import adapter_error, config_of_fields

_READY = ".early_exit.ready"
_PREFIX = ".early_exit."


@contextmanager
def written_together(folder: Path) -> Iterator[Path]:
    """Return an empty folder to write, whose files take their places in another only when all are on the disk.

    What is written becomes valid by one rename of the folder that holds it, to a hidden name within ``folder``; from
    there each file is linked to its place. `current` gives the hidden folder until that is done, and the next
    `written_together` does what a killed process left undone. Other files of ``folder`` stay; it need not exist yet.

    Raises:
        RunFolderError: It can't be written; what it held stays valid.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / _READY).exists():
            _settle(folder)
        for leftover in folder.glob(f"{_PREFIX}*{UNFINISHED}"):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)
        staging = _unfinished(folder)
        try:
            staging.mkdir()
            yield staging
            for file in staging.iterdir():
                file.chmod(staging.stat().st_mode & 0o666)  # safetensors lets nobody else read what it writes
                _synchronise(file)
            staging.rename(folder / _READY)
            _synchronise(folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        _settle(folder)
    except (OSError, SafetensorError) as error:
        hint = "make it writable, free space on its disk, which has to hold both the new model and the old one"
        hint = f"{hint}, or name another folder"
        raise RunFolderError(
            f"the folder can't be written: {getattr(error, 'strerror', None) or error}",
            where=folder,
            hint=hint_for(error, hint) if isinstance(error, OSError) else hint,
        ) from error


def current(folder: Path) -> Path:
    """Return the folder that holds the valid files: itself, or what `written_together` has not yet put in place."""
    ready = folder / _READY
    return ready if ready.is_dir() else folder


def _settle(folder: Path) -> None:
    ready = folder / _READY
    for file in ready.iterdir():
        beside = _unfinished(folder)
        try:
            beside.hardlink_to(file)
        except OSError:  # a file system without links
            shutil.copy2(file, beside)
        beside.replace(folder / file.name)
    done = ready.rename(_unfinished(folder))
    shutil.rmtree(done, ignore_errors=True)


def _unfinished(folder: Path) -> Path:
    return folder / f"{_PREFIX}{token_hex(8)}{UNFINISHED}"


def _synchronise(path: Path) -> None:
    """Have what a file or a folder holds on the disk; not all systems can for a folder."""
    with suppress(PermissionError, IsADirectoryError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


WEIGHTS = "early_exit.safetensors"
"""Named so that no other loader takes them for a backbone's."""
WEIGHTS_OF_FORMAT_1 = "model.safetensors"
_ATTEMPTS = 20
_GIVE = (
    "give a folder that save_pretrained (ee-lightning save) wrote, or the folder of a run, such as "
    "runs/demo/version_0, which has a config.yaml (from Python with from_run)"
)


def write_folder(folder: Path, model: MultiExitModel, encoder: TextEncoder, deployment: Deployment) -> None:
    """Write a model into a folder, where it takes the place of another only when it is complete.

    Raises:
        RunFolderError: It can't be written, or holds a model of another kind.
        OptionError: The model's weights are quantised.
    """
    tensors = _plain_tensors(model)
    saved_before = (folder / EARLY_EXIT).exists()
    if not saved_before and (folder / CONFIG_NAME).exists() and current(folder) == folder:
        what = "the folder holds another model: it has a config.json, but no early_exit.json"
        raise RunFolderError(what, where=folder, hint="name another folder, or one that does not exist yet")
    with written_together(folder) as unfinished:
        save_file(tensors, unfinished / WEIGHTS)
        EarlyExitConfig.of(model.backbone, deployment).save_pretrained(unfinished)
        encoder.save(unfinished)
        deployment.write(unfinished / EARLY_EXIT)
    if saved_before:
        (folder / WEIGHTS_OF_FORMAT_1).unlink(missing_ok=True)


def find_folder(source: str) -> Path:
    """Return the folder of a model, from the hub if there is no such folder here, or raise a BackboneError."""
    if Path(source).is_dir():
        return Path(source)
    hint = f"{_GIVE}; or a name on the hub"
    try:
        return Path(snapshot_download(source, allow_patterns=["*.json", WEIGHTS, WEIGHTS_OF_FORMAT_1]))
    except HFValidationError as error:
        what = "there is no such folder, and models on the hub don't have such names"
        raise BackboneError(what, where=source, hint=hint) from error
    except Exception as error:  # the hub's client and the network below it raise their own kinds
        what = f"there is no such folder, and no such model is available on the hub: {first_line(error)}"
        raise BackboneError(what, where=source, hint=f"{hint}, and check the network") from error


def read_folder(folder: Path) -> tuple[MultiExitModel, PreTrainedTokenizerBase, Deployment]:
    """Read a model from its folder; errors as of `EarlyExitPredictor.from_pretrained`."""
    for _ in range(_ATTEMPTS):
        before = _state(folder)
        try:
            read = _read(current(folder))
        except EarlyExitError:
            if _state(folder) == before:
                raise
        else:
            if _state(folder) == before:
                return read
    hint = "try again when nothing is saved there, or save each model into a folder of its own"
    raise RunFolderError("the saved model was replaced again and again while it was read", where=folder, hint=hint)


def _state(folder: Path) -> tuple[object, ...]:
    """Return what changes whenever another model takes this one's place."""
    file = current(folder) / EARLY_EXIT
    try:
        stat = file.stat()
    except OSError:
        return (file,)
    return file, stat.st_dev, stat.st_ino, stat.st_mtime_ns


def _read(folder: Path) -> tuple[MultiExitModel, PreTrainedTokenizerBase, Deployment]:
    if not (folder / EARLY_EXIT).is_file():
        what = f"this folder holds no saved model: it has no {EARLY_EXIT}"
        raise RunFolderError(what, where=folder, hint=_GIVE)
    deployment = Deployment.read(folder / EARLY_EXIT)
    if (folder / ADAPTER_CONFIG_NAME).exists():
        raise adapter_error(str(folder))
    config, weights = _backbone_of(folder / CONFIG_NAME)
    file = folder / weights
    try:
        tensors = load_file(file)
    except Exception as error:  # safetensors raises its own kinds
        what = f"the weights can't be read: {first_line(error)}"
        raise BackboneError(what, where=file, hint="save the model again") from error
    model = restore_model(config, deployment.target, deployment.heads, tensors, where=file)
    if model.num_exits != deployment.num_exits:
        what = f"{EARLY_EXIT} is for {deployment.num_exits} exits, and the model has {model.num_exits}"
        raise RunFolderError(what, where=folder / EARLY_EXIT, hint="save the model again: ee-lightning save")
    return model, load_tokenizer(str(folder), config), deployment


def _backbone_of(file: Path) -> tuple[PreTrainedConfig, str]:
    """Read the backbone's configuration, and return the name of the weights' file."""
    with reading(file, hint="save the model again: ee-lightning save"):
        fields = read_json(file)
        if fields.get("model_type") != EarlyExitConfig.model_type:
            return config_of_fields(fields, str(file)), WEIGHTS_OF_FORMAT_1
        if not isinstance(fields["backbone"], dict):
            raise ValueError(f"backbone is {fields['backbone']!r:.60}, and no configuration")
        if (adapter := fields.get("adapter")) is not None:
            check_imported(str(adapter), "adapter")
        return config_of_fields(fields["backbone"], str(file)), WEIGHTS


def _plain_tensors(model: MultiExitModel) -> dict[str, Tensor]:
    tensors = model.state_dict()
    if not all(type(tensor) is Tensor and tensor.is_floating_point() for tensor in tensors.values()):
        hint = "save the model as it was before, and quantise it again after from_pretrained"
        raise OptionError("a quantised model can't be saved", where="save_pretrained", hint=hint)
    return {name: tensor.contiguous() for name, tensor in tensors.items()}
