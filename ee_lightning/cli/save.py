"""``ee-lightning save``: a trained model in a folder of its own."""

from ee_lightning.cli.command import Adapter, LayersOfExits, Number
from ee_lightning.cli.models import Model, load
from ee_lightning.cli.predict import warn_of_threshold
from ee_lightning.exits import replay
from ee_lightning.models.backbones.loading import load_adapter
from ee_lightning.runs.folder import RunFolder


def save(
    model: Model,
    folder: str,
    *,
    criterion: str | None = None,
    threshold: Number | None = None,
    exits: LayersOfExits | None = None,
    adapter: Adapter | None = None,
) -> None:
    """Write a run's model, its tokenizer and its operating point into one folder.

    Args:
        model: A run folder, or what save wrote: its folder, or its name on the hub.
        folder: The folder to write.
        criterion: Such as confidence or 'voting(k=0.5)', with --threshold (those of the operating point).
        threshold: In the criterion's unit; inf lets nobody leave early.
        exits: Keep only the exits behind these layers, such as 3,6,9,12 (those of the operating point).
        adapter: The full name of your own adapter of the backbone's family, such as my_module.MyBackbone.
    """
    load_adapter(adapter)
    predictor = load(model, criterion, threshold, exits, device="cpu")
    predictor.save_pretrained(folder)
    rule, run = predictor.deployment.rule, RunFolder(model)
    print(f"early exit by {rule}")
    if (split := next(filter(run.has_exits, ("validation", "test")), None)) is not None:
        stored = run.read_exits(split).asking(predictor.model.layers_of_exits)
        mean_layers = stored.layers_run(replay(rule.build(), stored).at(rule.threshold)[0]).double().mean().item()
        samples = f"{stored.num_samples} samples of the split {split}"
        warn_of_threshold(rule, mean_layers, stored.layers_of_exits, samples)
    print(f"saved: {folder}")
