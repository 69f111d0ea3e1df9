"""What the README and the pages of the site say is so: their blocks run, and their files, targets and names exist."""

import ast
import re
import shlex
import shutil
from datetime import date, timedelta
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest
from docs_blocks import PAGES, REPOSITORY, Block, blocks_of, parse_command, run_block
from lightning import seed_everything

from ee_lightning import __version__
from ee_lightning.cli import main
from ee_lightning.models.backbones import FAMILIES
from ee_lightning.models.backbones.loading import load_adapter

pytestmark = pytest.mark.filterwarnings("ignore::lightning.fabric.utilities.warnings.PossibleUserWarning")
SLOW = {"guides/methods.md", "guides/predicting.md", "guides/reproducing.md", "extend/suite.md", "start/own-csv.md"}
"""Pages whose blocks take longest."""
NAMES = {page: str(page.relative_to(REPOSITORY)).removeprefix("docs/") for page in PAGES}
RUN = [
    pytest.param(page, id=name, marks=[pytest.mark.slow] if name in SLOW else [])
    for page, name in NAMES.items()
    if any(block.is_run for block in blocks_of(page))
]
BLOCKS = [(name, block) for page, name in NAMES.items() for block in blocks_of(page)]
DEMO = "ee-lightning fit --config demo"
"""The command of the outputs that several pages show."""
GOOD, BAD = ("lovely", "warm", "clever"), ("dull", "cold", "stupid")
PLAIN = ("the", "a", "film", "story", "plot", "actor", "was")


def _seen(block: Block) -> tuple[date, str]:
    """Return when an output was seen, and the command that printed it."""
    found = re.fullmatch(r"seen (\d{4}-\d\d-\d\d): (.+)", block.comment)
    assert found, f"no date and command in the comment above:\n{block.code}"
    return date.fromisoformat(found[1]), found[2]


def _sentences(number: int) -> list[tuple[str, int]]:
    """Return sentences that differ, each with one word that decides on its label."""
    words = [(word, label) for label, words in enumerate((BAD, GOOD)) for word in words]
    found = []
    for n in range(number):
        word, label = words[n % 6]
        found.append((f"{PLAIN[n % 7]} {word} {PLAIN[n // 7 % 7]} {PLAIN[n // 49 % 7]}", label))
    return found


@pytest.fixture(scope="session")
def user_folder(made_once, tiny_backbone: Path) -> Path:
    """Return a folder like that of a user who has done the demo: a run, a saved model, rows of several kinds."""
    from transformers import BertConfig, BertModel

    def make(folder: Path) -> None:
        shutil.copytree(tiny_backbone, folder / "bert")
        config = BertConfig.from_pretrained(tiny_backbone)
        config.num_hidden_layers = 6
        BertModel(config).save_pretrained(folder / "bert")
        (folder / "glue/SST-2").mkdir(parents=True)
        for split, number in (("train", 600), ("dev", 800)):
            rows = pd.DataFrame(_sentences(number), columns=["sentence", "label"])
            rows.to_csv(folder / f"glue/SST-2/{split}.tsv", sep="\t", index=False)
        options = {
            "run.root": folder / "runs",
            "run.name": "demo",
            "data.task": "sst2",
            "data.root": folder / "glue",
            "data.max_length": 32,
            "model.backbone": folder / "bert",
            "model.heads.pooling": "mean",
            "model.optimization.learning_rate": 5e-3,
            "trainer.max_epochs": 3,
            "trainer.accelerator": "cpu",
            "trainer.enable_progress_bar": "false",
            "trainer.enable_model_summary": "false",
            "trainer.log_every_n_steps": 1,
        }
        seed_everything(0)
        assert main(["fit", *(f"--{name}={value}" for name, value in options.items())]) == 0
        run = f"{folder}/runs/demo/version_0"
        assert main(["choose", run, "--criterion=confidence", "--min-speedup=2"]) == 0
        assert main(["save", run, f"{folder}/my-model"]) == 0
        texts = pd.DataFrame({"text": ["a lovely film", "a dull film"]})
        texts.to_csv(folder / "texts.csv", index=False)
        texts.to_json(folder / "texts.jsonl", orient="records", lines=True)
        (folder / "texts.txt").write_text("a lovely film\na dull film\n")
        rows = pd.DataFrame({"text": [text for text, _ in _sentences(60)]})
        rows.assign(label=["yes", "no"] * 30).to_csv(folder / "rows.csv", index=False)
        rows.assign(label=["good", "bad"] * 30).to_csv(folder / "reviews.csv", index=False)
        rows.assign(stars=[1, 4.5] * 30).to_csv(folder / "stars.csv", index=False)
        tickets = rows.rename(columns={"text": "subject"}).assign(body="the plot", queue=["billing", "returns"] * 30)
        tickets.to_csv(folder / "tickets.csv", index=False)
        rows.assign(tags=[["fun"], ["fun", "praise"], []] * 20).to_json(
            folder / "reviews.jsonl", orient="records", lines=True
        )
        suite = (REPOSITORY / "configs/reproduce/smoke.yaml").read_text().replace("../", f"{REPOSITORY}/configs/")
        (folder / "mine.yaml").write_text(suite)
        for example in (REPOSITORY / "examples").glob("*.py"):
            shutil.copy(example, folder)

    return made_once("user", make)


@pytest.mark.parametrize("page", RUN)
def test_blocks_of_a_page_run(
    page: Path, user_folder: Path, glue_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    shutil.copytree(user_folder, here, ignore=shutil.ignore_patterns("bert", "glue"))
    for folder in ("RTE", "STS-B"):
        shutil.copytree(glue_folder / folder, here / "glue" / folder)
    shutil.copytree(user_folder / "glue/SST-2", here / "glue/SST-2")
    shutil.copytree(REPOSITORY / "configs", here / "configs")
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(here)
    monkeypatch.setenv("DOCS_BACKBONE", str(user_folder / "bert"))
    names: dict[str, object] = {}
    for block in blocks_of(page):
        if block.title and block.language == "yaml":
            Path(block.title).write_text(block.code, encoding="utf-8")
        elif block.is_run:
            run_block(block, names)


def test_commands_that_are_not_run_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)
    read = 0
    for _, block in BLOCKS:
        if block.language == "bash" and not block.is_run:
            for command in block.commands:
                words = shlex.split(command.partition(" && ")[0], comments=True)
                if words[0] == "ee-lightning" and words[1] not in {"reproduce", "--print_completion"}:
                    parse_command(words[1:])
                    read += 1
    assert read >= 15


def test_python_that_is_not_run_imports_what_is_there() -> None:
    for _, block in BLOCKS:
        if block.language == "python" and not block.is_run and not block.title and "--8<--" not in block.code:
            for node in ast.parse(block.code).body:
                if isinstance(node, ast.ImportFrom):
                    module = import_module(str(node.module))
                    assert all(hasattr(module, each.name) for each in node.names), block.code


@pytest.mark.parametrize("page", PAGES, ids=NAMES.values())
def test_every_block_has_a_language_and_every_output_a_date_and_its_command(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for block in blocks_of(page):
        assert block.language in {"bash", "python", "yaml", "csv", "text", "latex"}, block.code
        if block.language == "text":
            seen, command = _seen(block)
            assert seen <= date.today()
            assert command in {DEMO, "the block above"} or ";" in command or f"\n{command}\n" in text, command


@pytest.mark.release
def test_output_was_seen_in_the_last_month() -> None:
    for name, block in BLOCKS:
        if block.language == "text":
            assert date.today() - _seen(block)[0] <= timedelta(days=31), f"{name}: make outputs\n{block.code}"


def test_pages_show_the_same_demo() -> None:
    shown = {name: block.code for name, block in BLOCKS if block.language == "text" and _seen(block)[1] == DEMO}
    longest = shown["start/demo.md"]
    assert shown.keys() == {"README.md", "start/demo.md", "guides/report.md"}
    assert [name for name, code in shown.items() if not longest.startswith(code)] == []


def test_the_readme_is_short() -> None:
    assert len((REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_figures_of_the_study_in_the_readme_are_those_of_its_page() -> None:
    readme = " ".join((REPOSITORY / "README.md").read_text(encoding="utf-8").split())
    study = (REPOSITORY / "docs/evidence/study.md").read_text(encoding="utf-8")
    quoted = re.findall(r"(\d\.\d) points on average over five tasks \(95 % interval (\d\.\d) to (\d\.\d)\)", readme)
    assert len(quoted) == 1
    (row,) = re.findall(r"^\| Mean of 5 tasks \(3 seeds\), voting \|(.*)$", study, re.MULTILINE)
    mean, low, high = (abs(float(each)) for each in re.findall(r"[-+]\d+\.\d+", row.split("|")[3]))
    assert [*map(float, quoted[0])] == pytest.approx([mean, high, low], abs=0.051)


def test_the_version_is_the_same_everywhere() -> None:
    changes = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    latest, *_ = re.findall(r"^## \[(\d[\w.]*)\]", changes, re.MULTILINE)
    citation = (REPOSITORY / "CITATION.cff").read_text(encoding="utf-8")
    assert latest == __version__ == re.search(r"^version: (\S+)", citation, re.MULTILINE)[1]


def test_an_adapter_of_ones_own_is_named_by_its_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = (REPOSITORY / "ee_lightning/models/backbones/mpnet.py").read_text(encoding="utf-8")
    assert len(adapter.splitlines()) <= 40
    (tmp_path / "my_family.py").write_text(adapter.replace("models.backbones.backbone", "models"), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(FAMILIES, "mpnet", FAMILIES["mpnet"])
    load_adapter("my_family.MPNetBackbone")
    assert FAMILIES["mpnet"].__module__ == "my_family"


def test_backbones_are_the_families_with_an_adapter_and_their_files() -> None:
    text = (REPOSITORY / "docs/guides/backbones.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"\| family \| `model_type`.*?\n\n", text, re.DOTALL)
    rows = [[re.findall(r"`([\w-]+)`", cell) for cell in row.split("|")[2:4]] for row in table.splitlines()[2:-1]]
    assert [family for (family,), _ in rows] == sorted(FAMILIES)
    files = {f"{name}.yaml" for _, names in rows for name in names}
    assert files == {file.name for file in (REPOSITORY / "configs/backbones").iterdir()}


def test_suites_are_on_their_page() -> None:
    page = (REPOSITORY / "docs/guides/reproducing.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert sorted(rows) == sorted(file.stem for file in (REPOSITORY / "configs/reproduce").glob("*.yaml"))


@pytest.mark.parametrize("page", PAGES, ids=NAMES.values())
def test_named_files_and_targets_are_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for path in re.findall(r"(?<![\w/])((?:configs|sweeps|ee_lightning|examples)/[\w/]+\.(?:yaml|py))", text):
        assert (REPOSITORY / path).is_file(), path
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)) <= targets


def test_files_of_a_run_and_of_a_saved_model_are_on_their_pages(user_folder: Path) -> None:
    run_page = (REPOSITORY / "docs/reference/run-folder.md").read_text(encoding="utf-8")
    model_page = (REPOSITORY / "docs/reference/saved-model.md").read_text(encoding="utf-8")
    for file in (user_folder / "runs/demo/version_0").iterdir():
        assert f"`{file.name}{'/' if file.name == 'checkpoints' else ''}`" in run_page or file.is_dir(), file.name
    for file in (user_folder / "my-model").iterdir():
        assert f"`{file.name}`" in model_page or "token" in file.name or "vocab" in file.name, file.name


def test_logged_keys_are_on_their_page(user_folder: Path) -> None:
    page = (REPOSITORY / "docs/reference/logged-keys.md").read_text(encoding="utf-8")
    logged = pd.read_csv(user_folder / "runs/demo/version_0/metrics.csv").columns
    for key in set(logged) - {"epoch", "step"}:
        general = re.sub(r"exit_\d+", "exit_<m>", key)
        general = re.sub(r"_at_[\d.]+x", "_at_1.5x", general)
        general = re.sub(r"^(val|test)/(voting|patience|confidence|entropy)/", r"\1/<criterion>/", general)
        general = re.sub(r"/information/\w+", "/information/<term>", general)
        general = {"val/accuracy": "val/<metric>"}.get(general, general)
        assert f"`{general}`" in page or f"`{general.replace('val/', '<stage>/')}`" in page, key
