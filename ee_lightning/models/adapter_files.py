"""Low-rank adapters in the files of `peft`, beside the name and the digest of the weights that they are for."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from safetensors.torch import load_file, save_file
from torch import Tensor

from ee_lightning.errors import BackboneError
from ee_lightning.files import read_json, reading, typed
from ee_lightning.models.backbones.loading import adapter_error, load_backbone
from ee_lightning.models.lora import LoraOptions, merged

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
BASE = "adapter_base.json"
_OURS, _THEIRS = "backbone.encoder.", "base_model.model."
_AGAIN = "save the model again: ee-lightning save --as-adapter, or leave that out to save it merged"


@dataclass(frozen=True, eq=False)
class Adapters:
    """Adapters of a backbone.

    Attributes:
        options: How they were made.
        tensors: Theirs, by the names of `MultiExitModel`.
        base: The name of the weights that they are for, as `load_backbone` takes it.
        digest: Of these weights.
    """

    options: LoraOptions
    tensors: Mapping[str, Tensor]
    base: str
    digest: str

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], options: LoraOptions, base: str) -> Self:
        """Take them from the tensors of a model that was trained with adapters."""
        found = {name: tensor for name, tensor in tensors.items() if ".lora_" in name}
        whole = {name.replace(".base_layer.", "."): tensor for name, tensor in tensors.items() if name not in found}
        return cls(options, found, base, _digest(whole))

    def write(self, folder: Path) -> None:
        """Write the two files that `peft` reads, and one that says what weights the adapters are for."""
        targets = self.options.targets
        config = {
            "peft_type": "LORA",
            "task_type": "FEATURE_EXTRACTION",
            "base_model_name_or_path": self.base,
            "r": self.options.r,
            "lora_alpha": self.options.alpha,
            "lora_dropout": self.options.dropout,
            "target_modules": targets if isinstance(targets, str) else list(targets),
            "bias": "none",
            "inference_mode": True,
        }
        of_base = {"backbone": self.base, "sha256": self.digest}
        (folder / BASE).write_text(json.dumps(of_base, indent=2) + "\n", encoding="utf-8")
        (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        named = {
            name.replace(_OURS, _THEIRS, 1).replace(".default.", "."): tensor.contiguous()
            for name, tensor in self.tensors.items()
        }
        save_file(named, folder / WEIGHTS)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read them; a `RunFolderError` where the files are missing or damaged, or not written here."""
        if not (folder / BASE).is_file():
            raise adapter_error(str(folder))
        with reading(folder / BASE, hint=_AGAIN):
            base, digest = (str(read_json(folder / BASE)[name]) for name in ("backbone", "sha256"))
        with reading(folder / CONFIG, hint=_AGAIN):
            fields = read_json(folder / CONFIG)
            names = {"r": "r", "alpha": "lora_alpha", "dropout": "lora_dropout", "targets": "target_modules"}
            options = typed(LoraOptions, {ours: fields[theirs] for ours, theirs in names.items()})
        with reading(folder / WEIGHTS, hint=_AGAIN):
            stored = load_file(folder / WEIGHTS)
        tensors = {
            re.sub(r"\.lora_([AB])\.", r".lora_\1.default.", name.replace(_THEIRS, _OURS, 1)): tensor
            for name, tensor in stored.items()
        }
        return cls(options, tensors, base, digest)

    def applied(self, num_layers: int, where: object) -> dict[str, Tensor]:
        """Return the tensors of the backbone with the adapters added, by the names of `MultiExitModel`.

        Args:
            num_layers: How many of the backbone's layers there are.
            where: The folder.

        Raises:
            BackboneError: The weights that they are for are missing, or others have taken their place.
        """
        backbone = load_backbone(self.base, num_layers)
        plain = {f"{_OURS}{name}": tensor for name, tensor in backbone.encoder.state_dict().items()}
        if _digest(plain) != self.digest:
            what = f"the adapters are for other weights than those that {self.base} has now"
            raise BackboneError(what, where=where, hint=f"bring these back, or {_AGAIN}")
        return merged({**plain, **self.tensors}, self.options, where)


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the digest of a backbone's tensors, in their order by name."""
    digest = hashlib.sha256()
    for name in sorted(name for name in tensors if name.startswith(_OURS)):
        digest.update(name.encode())
        digest.update(tensors[name].float().contiguous().numpy().tobytes())
    return digest.hexdigest()
