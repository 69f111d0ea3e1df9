"""``ee-lightning save``: a trained model in a folder of its own."""

from ee_lightning.cli.command import Adapter, LayersOfExits, Number
from ee_lightning.cli.models import Model, load
from ee_lightning.cli.predict import warn_of_threshold
from ee_lightning.errors import OptionError
from ee_lightning.exits import replay
from ee_lightning.models.backbones.loading import load_adapter
from ee_lightning.runs.folder import RunFolder
from ee_lightning.runs.load_run import RunOptions, read_adapters
from ee_lightning.runtime.loading import is_run


def save(
    model: Model,
    folder: str,
    *,
    criterion: str | None = None,
    threshold: Number | None = None,
    exits: LayersOfExits | None = None,
    as_adapter: bool = False,
    adapter: Adapter | None = None,
) -> None:
    """Write a run's model, its tokenizer and its operating point into one folder.

    Args:
        model: A run folder, or what save wrote: its folder, or its name on the hub.
        folder: The folder to write.
        criterion: Such as confidence or 'voting(k=0.5)', with --threshold (left out: those of the operating point).
        threshold: In the criterion's unit; with inf no text leaves early.
        exits: Keep only the exits after these layers, such as 3,6,9,12 (left out: those of the operating point).
        as_adapter: Write only the low-rank adapters of a run with model.lora, not the whole backbone.
        adapter: The full name of your own adapter of the backbone's family, such as my_module.MyBackbone.
    """
    load_adapter(adapter)
    predictor = load(model, criterion, threshold, exits, device="cpu")
    rule, run = predictor.deployment.rule, RunFolder(model)
    if as_adapter and not is_run(model):
        raise OptionError("only a run has adapters of its own", where="--as-adapter", hint="name a run folder")
    predictor.save_pretrained(folder, adapters=read_adapters(run, RunOptions.read(run)) if as_adapter else None)
    print(f"early exit by {rule}")
    if (split := next(filter(run.has_exits, ("validation", "test")), None)) is not None:
        stored = run.read_exits(split).asking(predictor.model.layers_of_exits)
        mean_layers = stored.layers_run(replay(rule.build(), stored).at(rule.threshold)[0]).double().mean().item()
        samples = f"{stored.num_samples} samples of the split {split}"
        warn_of_threshold(rule, mean_layers, stored.layers_of_exits, samples)
    print(f"saved: {folder}")
