"""Small real things for the tests: an encoder with its tokenizer, and a GLUE folder.

Fixtures import what they need, so that the process that only shares the tests out loads none of it.
"""

import gc
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")

import random
import signal
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import pytest
from filelock import FileLock

if TYPE_CHECKING:
    from ee_lightning.inference import EarlyExitPredictor

signal.signal(signal.SIGINT, signal.default_int_handler)  # which jobs in the background of a shell ignore

REPOSITORY = Path(__file__).parents[1]
POSITIVE = "lovely warm clever bright funny moving".split()  # noqa: SIM905
NEGATIVE = "dull cold stupid dark boring empty".split()  # noqa: SIM905
NEUTRAL = "the a film story plot scene actor camera is was and with of very quite rather".split()  # noqa: SIM905
SPECIAL = "[PAD] [UNK] [CLS] [SEP] [MASK]".split()  # noqa: SIM905
MadeOnce = Callable[[str, Callable[[Path], None]], Path]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep tokenised test data out of the user's cache."""
    import lightning.pytorch  # noqa: F401 - here, because its log handlers keep the stderr of the moment of import

    os.environ["EE_LIGHTNING_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def one_torchlib() -> Iterator[None]:
    """Have torch read its library of ONNX operators once, not for each graph, which is half of what tracing takes."""
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ONNXRegistry, "from_torchlib", staticmethod(cache(ONNXRegistry.from_torchlib)))
        yield


@pytest.fixture
def no_rights() -> Iterator[None]:
    """Go on without the rights of the superuser."""
    before = os.geteuid()
    if before == 0:
        gc.collect()  # what earlier tests left, such as temporary folders, can't be deleted without rights
        os.seteuid(65_534)
    yield
    os.seteuid(before)


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """Return a function that has a folder made once for all processes that share the tests."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root

    def _made_once(name: str, make: Callable[[Path], None]) -> Path:
        folder, is_made = root / name, root / f"{name}.made"
        with FileLock(root / f"{name}.lock"):
            if not is_made.exists():
                make(folder)
                is_made.touch()
        return folder

    return _made_once


@pytest.fixture(scope="session")
def tiny_backbone(made_once: MadeOnce) -> Path:
    """Return a folder with a 3-layer random BERT and its tokenizer, as ``save_pretrained`` writes them."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    def save(folder: Path) -> None:
        words = [*SPECIAL, *POSITIVE, *NEGATIVE, *NEUTRAL]
        tokenizer = BertTokenizerFast(vocab={word: index for index, word in enumerate(words)}, model_max_length=64)
        tokenizer.save_pretrained(folder)
        torch.manual_seed(0)
        config = BertConfig(
            vocab_size=len(words),
            hidden_size=32,
            num_hidden_layers=3,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=64,
        )
        BertModel(config).save_pretrained(folder)

    return made_once("tiny-bert", save)


@pytest.fixture(scope="session")
def small_predictor(tiny_backbone: Path) -> "EarlyExitPredictor":
    """Return a predictor of three moods by voting, with three exits that disagree."""
    import torch

    from ee_lightning.data.encoding import load_tokenizer
    from ee_lightning.exits import Voting
    from ee_lightning.exits.naming import spec_of
    from ee_lightning.functional import Target
    from ee_lightning.inference import Deployment, EarlyExitPredictor, ExitPolicy
    from ee_lightning.models import HeadOptions, MultiExitModel
    from ee_lightning.models.backbones.loading import load_backbone

    torch.manual_seed(1)
    heads = HeadOptions(pooling="mean")
    model = MultiExitModel(load_backbone(str(tiny_backbone)), Target.of(3), heads).eval()
    for linear in model.heads.classifiers:
        torch.nn.init.normal_(linear.weight, std=1.0)
    deployment = Deployment(
        task="mood",
        text_columns=("sentence",),
        label_names=("good", "bad", "neither"),
        num_classes=3,
        num_exits=3,
        max_length=32,
        heads=heads,
        rule=ExitPolicy(spec_of(Voting(k=0.5)), 1.2),
    )
    return EarlyExitPredictor(model, load_tokenizer(str(tiny_backbone)), deployment, device="cpu")


@pytest.fixture(scope="session")
def exported(made_once: MadeOnce, small_predictor: "EarlyExitPredictor") -> Path:
    """Return the folder of that predictor as an exported model."""
    from ee_lightning.export.exporting import export_model

    texts = ["a lovely film", "the dull plot was very very boring", "quite funny"] * 6
    return made_once("exported", lambda folder: export_model(small_predictor, folder, small_predictor.tokenise(texts)))


@pytest.fixture(scope="session")
def small_backbone(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return a function that makes a folder with a 4-layer random encoder of a family, without a tokenizer.

    Other fields of its configuration can be given by name.
    """
    import torch
    from families import FAMILY_CONFIGS
    from transformers import AutoModel

    @cache
    def make(family: str, **fields: object) -> Path:
        torch.manual_seed(0)
        folder = tmp_path_factory.mktemp(family)
        config = type(FAMILY_CONFIGS[family]).from_dict({**FAMILY_CONFIGS[family].to_dict(), **fields})
        AutoModel.from_config(config).save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def glue_folder(made_once: MadeOnce) -> Path:
    """Return a GLUE folder with a small task of every kind in the official layout, easy to learn."""
    return made_once("glue", _write_glue)


@pytest.fixture(scope="session")
def trained(made_once: MadeOnce, glue_folder: Path, tiny_backbone: Path) -> Callable[..., Path]:
    """Return a function that gives the folder of a short run on a task; tests that change it copy it first."""
    from ee_lightning.cli import main

    regression = {"config": REPOSITORY / "configs/tasks/stsb.yaml"}

    @cache
    def train(task: str, **others: object) -> Path:
        name = f"{task}-{crc32(repr(sorted(others.items())).encode())}"
        options = {
            **(regression if task == "stsb" else {}),
            "run.name": name,
            "data.task": task,
            "data.root": glue_folder,
            "data.max_length": 32,
            "data.batch_size": 16,
            "model.backbone": tiny_backbone,
            "model.heads.pooling": "mean",
            "model.optimization.learning_rate": 5e-3,
            "model.optimization.head_learning_rate": 1e-2,
            "trainer.max_epochs": 6,
            "trainer.accelerator": "cpu",
            "trainer.enable_progress_bar": "false",
            "trainer.enable_model_summary": "false",
            "trainer.log_every_n_steps": 1,
            **{name.replace("__", "."): value for name, value in others.items()},
        }

        def fit(root: Path) -> None:
            assert main(["fit", f"--run.root={root}", *(f"--{name}={value}" for name, value in options.items())]) == 0

        return made_once(f"runs-{name}", fit) / name / "version_0"

    return train


def _write(file: Path, header: str | None, rows: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [*([] if header is None else [header]), *rows]  # type: ignore[misc]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _write_glue(folder: Path) -> None:
    rng = random.Random(0)

    def sentence(label: int) -> str:
        words = rng.choices(NEUTRAL, k=rng.randint(2, 12))
        words.insert(rng.randrange(len(words)), rng.choice(POSITIVE if label else NEGATIVE))
        return " ".join(words)

    for split, rows in (("train", 96), ("dev", 47)):
        labels = [index % 2 for index in range(rows)]
        _write(folder / "SST-2" / f"{split}.tsv", "sentence\tlabel", (f"{sentence(y)}\t{y}" for y in labels))
        _write(folder / "CoLA" / f"{split}.tsv", None, (f"own\t{y}\t\t{sentence(y)}" for y in labels))
        _write(
            folder / "MRPC" / f"{split}.tsv",
            "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String",
            (f"{y}\t{i}\t{i}\t{sentence(y)}\t{sentence(1)}" for i, y in enumerate(labels)),
        )
        words = ("entailment", "not_entailment")
        _write(
            folder / "RTE" / f"{split}.tsv",
            "index\tsentence1\tsentence2\tlabel",
            (f"{i}\t{sentence(y)}\t{sentence(1)}\t{words[y]}" for i, y in enumerate(labels)),
        )
    _write(folder / "SST-2" / "test.tsv", "index\tsentence", (f"{i}\t{sentence(i % 2)}" for i in range(10)))
    pair = "index\tsentence1\tsentence2"

    def similar(score: int) -> str:
        words = [*rng.choices(POSITIVE, k=score), *rng.choices(NEGATIVE, k=5 - score)]
        return f"{' '.join(rng.sample(words, k=5))}\t{rng.choice(POSITIVE)}"

    for split, rows in (("train", 96), ("dev", 47)):
        pairs = [f"{i}\t{sentence(i % 2)}\t{sentence(1)}\t{i % 2}" for i in range(rows)]
        _write(folder / "WNLI" / f"{split}.tsv", f"{pair}\tlabel", pairs)
        scored = [f"{i}\t{similar(i % 6)}\t{i % 6}.000" for i in range(rows)]
        _write(folder / "STS-B" / f"{split}.tsv", f"{pair}\tscore", scored)
    _write(folder / "STS-B" / "test.tsv", pair, (f"{i}\t{similar(i % 6)}" for i in range(12)))
