"""The folder of a deployed model: everything that it takes to run it, wherever ee_lightning is installed."""

from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerBase

from ee_lightning.data.tokenizer import load_tokenizer
from ee_lightning.errors import BackboneError, RunFolderError, first_line
from ee_lightning.files import written_whole
from ee_lightning.inference.deployment import EARLY_EXIT, Deployment
from ee_lightning.inference.encoder import TextEncoder
from ee_lightning.models import MultiExitModel, backbone_config, restore_model

WEIGHTS = "model.safetensors"


def write_folder(folder: Path, model: MultiExitModel, encoder: TextEncoder, deployment: Deployment) -> None:
    """Write a model into a folder.

    ``early_exit.json`` takes its place when all else has: a folder without it is not complete.

    Args:
        folder: The folder; it need not exist yet, and what it has of these files is replaced.
        model: The model.
        encoder: With its tokenizer.
        deployment: What it predicts, and when samples leave.

    Raises:
        RunFolderError: It can't be written.
    """
    file = folder / EARLY_EXIT
    with written_whole(file) as unfinished:
        file.unlink(missing_ok=True)
        with written_whole(folder / WEIGHTS) as weights:
            save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, weights)
        model.backbone.encoder.config.save_pretrained(folder)
        encoder.save(folder)
        deployment.write(unfinished)


def find_folder(source: str) -> Path:
    """Give the folder of a model, from the hub if there is no such folder here.

    Args:
        source: The folder, or a name on the hub.

    Raises:
        BackboneError: It is neither.
    """
    if Path(source).is_dir():
        return Path(source)
    mend = (
        "give a folder that save_pretrained (ee-lightning save) wrote; the folder of a run, such as "
        "runs/demo/version_0, which has a config.yaml (from Python with from_run); or a name on the hub"
    )
    try:
        return Path(snapshot_download(source, allow_patterns=["*.json", WEIGHTS]))
    except HFValidationError as error:
        raise BackboneError(
            "there is no such folder, and models on the hub bear no such names", where=source, mend=mend
        ) from error
    except Exception as error:  # the hub's client and the network below it raise their own kinds
        reason = first_line(error)
        raise BackboneError(
            f"there is no such folder, and no such model can be had from the hub: {reason}",
            where=source,
            mend=f"{mend}, and check the network",
        ) from error


def read_folder(folder: Path) -> tuple[MultiExitModel, PreTrainedTokenizerBase, Deployment]:
    """Read a model from its folder.

    Raises:
        RunFolderError: ``early_exit.json`` is missing, damaged, of a newer release, or of another model.
        BackboneError: Weights, configuration or tokenizer are missing, damaged, or of another model.
    """
    if not (folder / EARLY_EXIT).is_file():
        raise RunFolderError(
            f"this folder holds no saved model: it has no {EARLY_EXIT}",
            where=folder,
            mend="give one that save_pretrained (ee-lightning save) wrote, or a run folder, such as "
            "runs/demo/version_0, which has a config.yaml; from Python that is for from_run",
        )
    deployment = Deployment.read(folder / EARLY_EXIT)
    config = backbone_config(str(folder))
    file = folder / WEIGHTS
    try:
        tensors = load_file(file)
    except Exception as error:  # safetensors raises its own kinds
        raise BackboneError(
            f"the weights can't be read: {str(error).partition(chr(10))[0]}", where=file, mend="save the model again"
        ) from error
    model = restore_model(
        config, deployment.num_classes, deployment.heads, tensors, where=file, multi_label=deployment.multi_label
    )
    if model.num_exits != deployment.num_exits:
        raise RunFolderError(
            f"{EARLY_EXIT} is for {deployment.num_exits} exits, and the model has {model.num_exits}",
            where=folder / EARLY_EXIT,
            mend="save the model again: ee-lightning save",
        )
    return model, load_tokenizer(str(folder)), deployment
