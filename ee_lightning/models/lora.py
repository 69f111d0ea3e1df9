"""Low-rank adapters on a backbone: trained by the library `peft`, and merged into its weights wherever it predicts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ee_lightning.errors import BackboneError, OptionError, first_line, listed, require_at_least_one, require_within
from ee_lightning.extras import require_extra

ALL_LINEAR = "all-linear"
_A, _B, _BASE = ".lora_A.default.weight", ".lora_B.default.weight", ".base_layer"


@dataclass(frozen=True)
class LoraOptions:
    """Options of low-rank adapters (Hu et al. 2021, arXiv 2106.09685) on the backbone; the heads are trained whole.

    Attributes:
        r: Their rank, at least 1.
        alpha: What they add is scaled by alpha / r.
        dropout: Dropout of what goes into an adapter, in [0, 1).
        targets: The linear modules that get one: ``all-linear``, or the ends of their names, such as
            ``[query, value]``.
    """

    r: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    targets: str | tuple[str, ...] = ALL_LINEAR

    def __post_init__(self) -> None:
        require_at_least_one(**{"model.lora.r": self.r})
        require_within(self.alpha, "(0, inf)", "model.lora.alpha", "twice the rank is a usual value")
        require_within(self.dropout, "[0, 1)", "model.lora.dropout", "0.05 is a usual value")
        if isinstance(self.targets, str) and self.targets != ALL_LINEAR:
            hint = f"write {ALL_LINEAR}, or a list of module names: [query, value]"
            raise OptionError(f"targets is {self.targets!r}", where="model.lora.targets", hint=hint)
        if not isinstance(self.targets, str):
            object.__setattr__(self, "targets", tuple(self.targets))  # of a checkpoint, where they are a list

    @property
    def scaling(self) -> float:
        """By what the product of the two low-rank matrices is multiplied."""
        return self.alpha / self.r


def add_adapters(encoder: nn.Module, options: LoraOptions) -> None:
    """Put adapters on linear modules of an encoder, which at first change nothing; the rest is frozen.

    Raises:
        MissingExtraError: peft is not installed.
        OptionError: No module has such a name, or one that has is not linear.
    """
    require_extra("peft")
    from peft import LoraConfig, inject_adapter_in_model
    from peft.tuners.tuners_utils import check_target_module_exists

    targets = options.targets if isinstance(options.targets, str) else list(options.targets)
    alpha: Any = options.alpha  # which peft declares as a whole number, and divides by the rank
    config = LoraConfig(
        r=options.r, lora_alpha=alpha, lora_dropout=options.dropout, target_modules=targets, bias="none"
    )
    modules = dict(encoder.named_modules())
    others = [name for name, each in modules.items() if not isinstance(each, nn.Linear)]
    others = [name for name in others if check_target_module_exists(config, name)]
    try:
        if others:
            raise ValueError(f"these modules are not linear: {listed(others)}")
        inject_adapter_in_model(config, encoder)
    except ValueError as error:
        linear = {name.rpartition(".")[2] for name, each in modules.items() if isinstance(each, nn.Linear)}
        what = f"adapters can't be put there: {first_line(error)}"
        hint = f"name some of this encoder's linear modules: {', '.join(sorted(linear))}"
        raise OptionError(what, where="model.lora.targets", hint=hint) from error


def train_adapters_alone(backbone: nn.Module, *, trains: bool) -> None:
    """Let the adapters of a backbone be trained, or not, and nothing else of it."""
    for name, parameter in backbone.named_parameters():
        parameter.requires_grad_(trains and ".lora_" in name)


def merge_adapters(model: nn.Module) -> None:
    """Add the adapters of a model, if there are any, to the weights that they stand beside, and drop them."""
    for name, module in list(model.named_modules()):
        if hasattr(module, "lora_A"):
            module.merge()
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, module.get_base_layer())


def merged(tensors: Mapping[str, Tensor], options: LoraOptions, where: object) -> dict[str, Tensor]:
    """Return a model's tensors, with those of its adapters added to the weights that they stand beside.

    Raises:
        BackboneError: An adapter is not whole.
    """
    found = {name.replace(f"{_BASE}.", "."): tensor for name, tensor in tensors.items() if ".lora_" not in name}
    try:
        for name, low in tensors.items():
            if name.endswith(_A):
                module = name.removesuffix(_A)
                found[f"{module}.weight"] = (
                    found[f"{module}.weight"] + options.scaling * tensors[module + _B].float() @ low.float()
                )
    except (KeyError, RuntimeError) as error:
        what = f"the adapters are not those of config.json and config.yaml: {first_line(error)}"
        raise BackboneError(what, where=where, hint="give weights and options of the same run") from error
    return found


def trained_share(model: nn.Module) -> str:
    """Return how many parameters of a model are trained, and how many there are, in words."""
    sizes = [(each.numel(), each.requires_grad) for each in model.parameters()]
    trained, total = sum(size for size, is_trained in sizes if is_trained), sum(size for size, _ in sizes)
    return f"{trained:,} of {total:,} parameters ({trained / total:.1%})"
