"""The folder of a deployed model: written whole or not at all, and read wherever ee_lightning is installed."""

from pathlib import Path
from typing import Any, NamedTuple, TypedDict, Unpack

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HFValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedTokenizerBase
from transformers.utils import CONFIG_NAME

from ee_lightning.data.encoding import load_tokenizer
from ee_lightning.errors import BackboneError, EarlyExitError, OptionError, RunFolderError, first_line
from ee_lightning.files import check_imported, found_in, read_json, reading
from ee_lightning.inference.card import PICTURE, Origin, write_card
from ee_lightning.inference.config import EarlyExitConfig
from ee_lightning.inference.deployment import EARLY_EXIT, GRAPHS, Deployment, check_place
from ee_lightning.inference.encoder import TokenizerEncoder
from ee_lightning.inference.together import current, written_together
from ee_lightning.models import MultiExitModel, restore_model
from ee_lightning.models.adapter_files import BASE as ADAPTER_BASE
from ee_lightning.models.adapter_files import CONFIG as ADAPTER_CONFIG
from ee_lightning.models.adapter_files import WEIGHTS as ADAPTER_WEIGHTS
from ee_lightning.models.adapter_files import Adapters
from ee_lightning.models.backbones import FAMILIES
from ee_lightning.models.backbones.loading import SAVED_WEIGHTS, config_of_fields

WEIGHTS = SAVED_WEIGHTS
"""Named so that no other loader takes them for a backbone's."""
WEIGHTS_OF_FORMAT_1 = "model.safetensors"
_FILES = ["*.json", WEIGHTS, ADAPTER_WEIGHTS, WEIGHTS_OF_FORMAT_1, PICTURE]
_HEADS = "heads."
_ATTEMPTS = 20
_GIVE = (
    "give a folder that save_pretrained (ee-lightning save) wrote, or the folder of a run, such as "
    "runs/demo/version_0, which has a config.yaml (from Python with from_run)"
)


class HubOptions(TypedDict, total=False):
    """How a model is asked for on the hub, as of `huggingface_hub.snapshot_download`."""

    revision: str | None
    token: str | bool | None
    cache_dir: str | Path | None
    local_files_only: bool
    force_download: bool


def write_folder(
    folder: Path,
    model: MultiExitModel,
    encoder: TokenizerEncoder,
    deployment: Deployment,
    origin: Origin,
    adapters: Adapters | None = None,
) -> None:
    """Write a model into a folder, where it takes the place of another only when it is complete.

    With adapters, these take the place of the backbone's weights, which are then needed wherever the folder is read.

    Raises:
        RunFolderError: It can't be written, is that of a run, or holds a model of another kind.
        OptionError: The model's weights are quantised.
    """
    check_place(folder, exported=False)
    tensors = _plain_tensors(model)
    saved_before = (folder / EARLY_EXIT).exists()
    if not saved_before and (folder / CONFIG_NAME).exists() and current(folder) == folder:
        what = "the folder holds another model: it has a config.json, but no early_exit.json"
        raise RunFolderError(what, where=folder, hint="name another folder, or one that does not exist yet")
    if adapters is not None:
        tensors = {name: tensor for name, tensor in tensors.items() if name.startswith(_HEADS)}
    with written_together(folder) as unfinished:
        if adapters is not None:
            adapters.write(unfinished)
        save_file(tensors, unfinished / WEIGHTS)
        config = EarlyExitConfig.of(model.backbone, deployment, origin.shown)
        config.save_pretrained(unfinished)
        family, depth = model.backbone.encoder.config.model_type, model.backbone.num_layers
        write_card(unfinished, deployment, family, depth, origin, over=folder)
        encoder.save(unfinished)
        deployment.write(unfinished / EARLY_EXIT)
    if saved_before:
        (folder / WEIGHTS_OF_FORMAT_1).unlink(missing_ok=True)
        stale = [PICTURE] if origin.picture is None else []
        if adapters is None:
            stale += [ADAPTER_CONFIG, ADAPTER_WEIGHTS, ADAPTER_BASE]
        for file in stale:
            (folder / file).unlink(missing_ok=True)


def find_folder(source: str, **hub: Unpack[HubOptions]) -> Path:
    """Return the folder of a model, from the hub if there is no such folder here, or raise a BackboneError."""
    if Path(source).is_dir():
        return Path(source)
    hint = f"{_GIVE}; or a name on the hub"
    try:
        return Path(snapshot_download(source, allow_patterns=_FILES, **hub))
    except HFValidationError as error:
        what = "there is no such folder, and models on the hub don't have such names"
        raise BackboneError(what, where=source, hint=hint) from error
    except Exception as error:  # the hub's client and the network below it raise their own kinds
        what = f"there is no such folder, and no such model is available on the hub: {first_line(error)}"
        raise BackboneError(what, where=source, hint=f"{hint}, and check the network") from error


class SavedModel(NamedTuple):
    """What the folder of a model holds."""

    model: MultiExitModel
    tokenizer: PreTrainedTokenizerBase
    deployment: Deployment
    origin: Origin


def upload_folder(folder: Path, name: str, *, private: bool | None, revision: str | None, **hub: Any) -> str:
    """Upload a folder to a repository of models on the hub, made if need be, and return the address of the commit.

    Raises:
        BackboneError: The name is none, the hub can't be reached, or it refuses.
    """
    api = HfApi(token=hub.pop("token", None))
    try:
        made = api.create_repo(name, private=private, exist_ok=True).repo_id
        message = hub.pop("commit_message", None) or "Upload early-exit model"
        done = api.upload_folder(
            repo_id=made, folder_path=folder, revision=revision, commit_message=message, ignore_patterns=[".*"], **hub
        )
    except Exception as error:  # the hub's client and the network below it raise their own kinds
        hint = "check the name and the network, log in (hf auth login), or save into a folder: save_pretrained"
        raise BackboneError(f"the model can't be uploaded: {first_line(error)}", where=name, hint=hint) from error
    return str(done.commit_url)


def read_folder(folder: Path) -> SavedModel:
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


def _read(folder: Path) -> SavedModel:
    if not (folder / EARLY_EXIT).is_file():
        what = f"this folder holds no saved model: it has no {EARLY_EXIT}"
        raise RunFolderError(what, where=folder, hint=_GIVE)
    if found_in(folder, GRAPHS):
        what = "this folder holds an exported model, which has graphs and no modules"
        hint = f"predict and EarlyExitRuntime run it if it has its manifest.json; here {_GIVE}"
        raise RunFolderError(what, where=folder, hint=hint)
    deployment = Deployment.read(folder / EARLY_EXIT)
    config, weights, base_model = _backbone_of(folder / CONFIG_NAME)
    file = folder / weights
    try:
        tensors = load_file(file)
    except Exception as error:  # safetensors raises its own kinds
        what = f"the weights can't be read: {first_line(error)}"
        raise BackboneError(what, where=file, hint="save the model again") from error
    if (folder / ADAPTER_CONFIG).exists():
        depth = FAMILIES[config.model_type].depth(config)
        tensors |= Adapters.read(folder).applied(depth, folder)
    model = restore_model(config, deployment.target, deployment.heads, tensors, where=file)
    if model.num_exits != deployment.num_exits:
        what = f"{EARLY_EXIT} is for {deployment.num_exits} exits, and the model has {model.num_exits}"
        raise RunFolderError(what, where=folder / EARLY_EXIT, hint="save the model again: ee-lightning save")
    return SavedModel(model, load_tokenizer(str(folder), config), deployment, Origin.of_folder(folder, base_model))


def _backbone_of(file: Path) -> tuple[PreTrainedConfig, str, str | None]:
    """Return the backbone's configuration, the name of the weights' file, and that of the pretrained weights."""
    with reading(file, hint="save the model again: ee-lightning save"):
        fields = read_json(file)
        if fields.get("model_type") != EarlyExitConfig.model_type:
            return config_of_fields(fields, str(file)), WEIGHTS_OF_FORMAT_1, None
        if not isinstance(fields["backbone"], dict):
            raise ValueError(f"backbone is {fields['backbone']!r:.60}, and no configuration")
        if (adapter := fields.get("adapter")) is not None:
            check_imported(str(adapter), "adapter")
        base_model = fields.get("base_model")
        return config_of_fields(fields["backbone"], str(file)), WEIGHTS, None if base_model is None else str(base_model)


def _plain_tensors(model: MultiExitModel) -> dict[str, Tensor]:
    tensors = model.state_dict()
    if not all(type(tensor) is Tensor and tensor.is_floating_point() for tensor in tensors.values()):
        hint = "save the model as it was before, and quantise it again after from_pretrained"
        raise OptionError("a quantised model can't be saved", where="save_pretrained", hint=hint)
    return {name: tensor.contiguous() for name, tensor in tensors.items()}
