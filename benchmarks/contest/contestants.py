"""What runs in a process of its own beside others, and answers each line on its input with the seconds that it took.

It works with the package of an earlier release too, so it asks little of it.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

Row = dict[str, Any]
"""The columns of a row: ``input_ids`` and ``token_type_ids``."""


class Contestant(NamedTuple):
    """Runs one row; and all rows of a pool, in batches of a size where it has one."""

    one: Callable[[Row], object]
    pool: Callable[[Sequence[Row], int], object]


def engine(plan: dict[str, Any]) -> Contestant:
    """Return the torch engine of the release that is on the path."""
    import torch

    from ee_lightning.exits import Confidence
    from ee_lightning.inference import EarlyExitEngine, Sample
    from ee_lightning.models import HeadOptions, MultiExitModel
    from ee_lightning.models.backbones.loading import load_backbone

    torch.set_num_threads(1)
    try:
        from ee_lightning.functional import Target
    except ImportError:  # an earlier release
        target: Any = plan["num_classes"]
    else:
        target = Target.of(plan["num_classes"])
    model = MultiExitModel(load_backbone(plan["backbone"]), target, HeadOptions(**plan["heads"]))
    model.load_state_dict(torch.load(plan["weights"], weights_only=True))
    runs = EarlyExitEngine(model, Confidence(), plan["threshold"])

    def run(rows: Sequence[Row], _: int = 0) -> None:
        for _predicted in runs.predict([Sample(row["input_ids"], row["token_type_ids"]) for row in rows]):
            pass

    return Contestant(lambda row: run([row]), run)


def eager(plan: dict[str, Any]) -> Contestant:
    """Return transformers' own model with the last head, as one runs a model without exits."""
    import torch
    from transformers import AutoModel

    torch.set_num_threads(1)
    encoder = AutoModel.from_pretrained(plan["backbone"], attn_implementation="sdpa").eval()
    weights = torch.load(plan["weights"], weights_only=True)
    last = max(int(name.split(".")[2]) for name in weights if name.startswith("heads.classifiers."))
    dense, classifier = (
        (weights[f"heads.{part}.{last}.weight"], weights[f"heads.{part}.{last}.bias"])
        for part in ("poolers", "classifiers")
    )

    def run(batch: dict[str, Any]) -> None:
        with torch.inference_mode():
            given = {name: torch.from_numpy(array) for name, array in batch.items()}
            hidden, mask = encoder(**given).last_hidden_state, given["attention_mask"].unsqueeze(-1)
            mean = (hidden * mask).sum(1) / mask.sum(1) if plan["heads"]["pooling"] == "mean" else hidden[:, 0]
            torch.nn.functional.linear(torch.nn.functional.linear(mean, *dense).tanh(), *classifier)

    return Contestant(lambda row: run(padded([row])), in_batches(run))


def ort(plan: dict[str, Any]) -> Contestant:
    """Return one flat graph of full depth."""
    session = session_of(plan["file"])
    names = [each.name for each in session.get_inputs()]

    def run(batch: dict[str, Any]) -> None:
        session.run(None, {name: batch[name] for name in names})

    return Contestant(lambda row: run(padded([row])), in_batches(run))


def exported(plan: dict[str, Any]) -> Contestant:
    """Return an exported folder in the runtime."""
    from ee_lightning.inference.batches import Sample
    from ee_lightning.runtime import EarlyExitRuntime

    predictor = EarlyExitRuntime(plan["folder"], criterion="confidence", threshold=plan["threshold"], threads=1)

    def run(rows: Sequence[Row], _: int = 0) -> None:
        for _predicted in predictor.engine.predict([Sample(row["input_ids"], row["token_type_ids"]) for row in rows]):
            pass

    return Contestant(lambda row: run([row]), run)


def deployed(plan: dict[str, Any]) -> Contestant:
    """Return what a user deploys: texts in, labels out; for a pool, it starts with two texts, not with one alone."""
    from ee_lightning.runtime import EarlyExitRuntime

    predictor = EarlyExitRuntime(plan["folder"], criterion="confidence", threshold=plan["threshold"], threads=1)

    def pool(rows: Sequence[Row], _: int = 0) -> None:
        predictor([row["text"] for row in rows])

    if plan["for"] == "pool":
        return Contestant(lambda row: pool([row, row]), pool)
    return Contestant(lambda row: predictor(row["text"]), pool)


def bare(plan: dict[str, Any]) -> Contestant:
    """Return ONNX Runtime alone with the graphs that the runtime loads for single rows, or for a pool."""
    import numpy as np

    folder, graphs = Path(plan["folder"]), json.loads((Path(plan["folder"]) / "manifest.json").read_text())["graphs"]
    if plan["for"] == "single":
        session, thresholds = session_of(str(folder / plan["file"])), np.float32(plan["threshold"])
        names = [each.name for each in session.get_inputs() if each.name != "thresholds"]

        def one(row: Row) -> None:
            session.run(None, {**{name: np.array([row[name]]) for name in names}, "thresholds": thresholds})

        return Contestant(one, lambda rows, _: [*map(one, rows)])
    embed = session_of(str(folder / graphs["embed"]))
    stages = [session_of(str(folder / name)) for name in (*graphs["layers"], *graphs["exits"])]

    def run(batch: dict[str, Any]) -> None:
        (hidden,) = embed.run(None, {each.name: batch[each.name] for each in embed.get_inputs()})
        for stage in stages[: len(graphs["layers"])]:
            (hidden,) = stage.run(None, {"hidden": hidden, "attention_mask": batch["attention_mask"]})
        stages[-1].run(None, {"hidden": hidden, "attention_mask": batch["attention_mask"]})

    return Contestant(lambda row: run(padded([row])), in_batches(run))


KINDS: dict[str, Callable[[dict[str, Any]], Contestant]] = {
    "engine": engine,
    "eager": eager,
    "ort": ort,
    "exported": exported,
    "deployed": deployed,
    "bare": bare,
}


def session_of(file: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def padded(rows: Sequence[Row]) -> dict[str, Any]:
    """Return a batch of rows, padded to the longest."""
    import numpy as np

    shape = len(rows), max(len(row["input_ids"]) for row in rows)
    names = ("input_ids", "attention_mask", "token_type_ids")
    batch = {name: np.zeros(shape, np.int64) for name in names}  # [batch, length] each
    for place, row in enumerate(rows):
        size = len(row["input_ids"])
        batch["input_ids"][place, :size], batch["attention_mask"][place, :size] = row["input_ids"], 1
        batch["token_type_ids"][place, :size] = row["token_type_ids"]
    return batch


def in_batches(run: Callable[[dict[str, Any]], object]) -> Callable[[Sequence[Row], int], None]:
    """Return what runs rows, sorted by length, in batches of a size."""

    def runs(rows: Sequence[Row], size: int) -> None:
        ordered = sorted(rows, key=lambda row: len(row["input_ids"]))
        for start in range(0, len(ordered), size):
            run(padded(ordered[start : start + size]))

    return runs


def timed(run: Callable[[], object]) -> float:
    """Return the CPU seconds of all threads that something took."""
    before = time.process_time()
    run()
    return time.process_time() - before


def peak() -> float:
    """Return the most memory that this process had, in MiB; that of `resource` counts its parent's too."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def answer(what: object) -> None:
    print(json.dumps(what), flush=True)


def main(plan: dict[str, Any]) -> None:
    """Say the CPU seconds up to the first prediction, then answer.

    To ``single`` with the seconds of every row, to ``pool SIZE`` with those of all and to ``some SIZE`` with those of a
    quarter, to ``peak`` with MiB.
    """
    contestant, rows, pool = KINDS[plan["kind"]](plan), plan["rows"], plan["pool"]
    contestant.one(rows[0])
    answer(time.process_time())
    for line in sys.stdin:
        what, _, size = line.strip().partition(" ")
        if what == "single":
            answer([timed(lambda row=row: contestant.one(row)) for row in rows])  # type: ignore[misc]
        elif what in ("pool", "some"):
            some = pool if what == "pool" else pool[::4]
            answer(timed(lambda some=some, size=size: contestant.pool(some, int(size))))  # type: ignore[misc]
        else:
            answer(peak())


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
