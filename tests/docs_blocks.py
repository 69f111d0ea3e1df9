"""The blocks of code on the pages of the documentation, and how they are run with small settings."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ee_lightning.cli import main

REPOSITORY = Path(__file__).parents[1]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)(?: title=\"(.*?)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BACKBONE = "packaged:all-minilm-l6-v2"
SMALL = {
    "data.max_length": 32,
    "data.batch_size": 16,
    "trainer.max_epochs": 1,
    "trainer.limit_train_batches": 2,
    "trainer.limit_val_batches": 2,
    "trainer.accelerator": "cpu",
    "trainer.enable_progress_bar": "false",
    "trainer.enable_model_summary": "false",
    "trainer.log_every_n_steps": 1,
    "model.heads.pooling": "mean",
}


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        language: What stands behind its fence.
        title: The file that it shows, if it shows one.
        code: Its text.
        comment: The comment right above it: why it is not run, or when its output was seen and of which command.
    """

    language: str
    title: str
    code: str
    comment: str

    @property
    def is_run(self) -> bool:
        is_shown = self.title or self.code.startswith("--8<--") or self.comment.startswith("not run: ")
        return self.language in {"bash", "python"} and not is_shown

    @property
    def commands(self) -> list[str]:
        """The lines of a shell block, without comments, continued lines joined."""
        lines = self.code.replace("\\\n", " ").splitlines()
        return [line for line in lines if line.strip() and not line.startswith("#")]


def blocks_of(page: Path) -> Iterator[Block]:
    """Return the blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        above = re.search(r"^<!-- (.*) -->\n\Z", text[: found.start()], re.MULTILINE)
        yield Block(found[1], found[2] or "", found[3], above[1] if above else "")


def small(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of a command, with few steps of a tiny model or few samples on the clock."""
    if arguments[:1] == ["speed"]:
        return [*arguments, "--max-samples=8", "--repeats=1", "--batch-sizes=4"]
    if arguments[:1] != ["fit"]:
        return list(arguments)
    if "--ckpt_path" in arguments:  # of the run that is there, whose options are small already
        return ["fit", "--config=runs/demo/version_0/config.yaml", "--ckpt_path=last"]
    options = {**SMALL, "model.backbone": os.environ["DOCS_BACKBONE"]}
    if "--data" in arguments:  # a data module of your own has other options
        options = {name: value for name, value in options.items() if not name.startswith("data.")}
    elif "rte" in arguments:
        options["data.root"] = "glue"
    return [*arguments, *(f"--{name}={value}" for name, value in options.items())]


def run_block(block: Block, names: dict[str, object]) -> None:
    """Run a block in the working folder; Python blocks of a page share their names.

    Raises:
        AssertionError: A command failed.
    """
    if block.language == "python":
        code = block.code.replace(BACKBONE, os.environ["DOCS_BACKBONE"])
        code = code.replace("tokenizer=backbone)", "tokenizer=backbone, max_length=32)")
        exec(code.replace("max_epochs=2, ", "max_epochs=1, limit_train_batches=2, limit_val_batches=2, "), names)
    elif all(command.startswith("ee-lightning ") and "|" not in command for command in block.commands):
        for command in block.commands:
            run_command(shlex.split(command, comments=True)[1:])
    else:
        shim = Path("bin/ee-lightning").resolve()
        shim.parent.mkdir(exist_ok=True)
        shim.write_text(
            f"#!{sys.executable}\nimport sys\nfrom docs_blocks import run_command\nrun_command(sys.argv[1:])\n"
        )
        shim.chmod(0o755)
        paths = f"{Path(__file__).parent}:{REPOSITORY}"
        env = {**os.environ, "PATH": f"{shim.parent}:{os.environ['PATH']}", "PYTHONPATH": paths}
        done = subprocess.run(["bash", "-euc", block.code], capture_output=True, text=True, check=False, env=env)
        assert done.returncode == 0, done.stderr


def run_command(arguments: Sequence[str]) -> None:
    """Run a command of ``ee-lightning`` with small settings."""
    try:
        status = main(small(arguments))
    except SystemExit as ended:  # of --help
        status = int(ended.code or 0)
    assert status == 0, shlex.join(arguments)


def parse_command(arguments: Sequence[str]) -> None:
    """Only read the options of a command that the documentation shows and the tests don't run."""
    try:
        status = main([*arguments, "--print_config"])
    except SystemExit as ended:
        status = int(ended.code or 0)
    assert status == 0, shlex.join(arguments)
