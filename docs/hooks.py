"""Generates pages of the site while MkDocs builds it: commands, options, the API, findings, the changelog, figures."""

import ast
import io
import itertools
import re
import sys
from argparse import SUPPRESS, Action
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from jsonargparse import ArgumentParser
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
from figures import FIGURES, LOOKS, draw

REPOSITORY = Path(__file__).parents[1]
ROOMS = {
    "exits": "Exit criteria, their replay and their curves",
    "training": "The LightningModule, the data module and the objectives",
    "fit": "Callbacks of a Trainer",
    "inference": "Predicting with early exit",
    "runtime": "Predicting with exported models, without torch",
    "scoring": "Scoring tables by many processes",
    "models": "Backbones, heads and the two together",
    "data": "Tasks",
    "runs": "Run folders",
    "analysis": "Sweeps, budgets and choices of thresholds",
    "reporting": "Tables and plots",
    "tracking": "Weights & Biases",
    "functional": "Pure functions of tensors",
}
"""The packages whose names the API reference lists, each with its title."""
GROUPS = (
    "run",
    "data",
    "data.own",
    "model",
    "model.objective",
    "model.heads",
    "model.optimization",
    "model.labels",
    "sweep",
)
"""The groups of options of ``fit`` that come first, in this order."""
TABLE = ["| option | default | meaning |", "|---|---|---|"]
PARTS = re.compile(r"# (Guess|Really|Version|Seen): ")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the generated pages and pictures to the site."""
    pages = {
        "reference/commands.md": commands(),
        "reference/options.md": options(),
        "reference/api.md": api(),
        "findings.md": findings(),
        "changelog.md": (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"),
    }
    for name, text in pages.items():
        files.append(File.generated(config, name, content=text))
    for name, look in itertools.product(FIGURES, LOOKS):
        picture = io.BytesIO()
        draw(name, look, picture)
        files.append(File.generated(config, f"images/{name}-{look}.svg", content=picture.getvalue()))
    return files


def commands() -> str:
    """Return the page of all commands that are functions, made from their parsers."""
    from ee_lightning.cli import COMMANDS, LIGHTNING_CLI, MODULES
    from ee_lightning.cli.command import CommandParser

    lines = ["# Commands", "", "Generated from the commands' own help. [The command line](command-line.md) says how to"]
    lines += ["give options, files of options and your own classes.", "", "| command | does |", "|---|---|"]
    for name, what in COMMANDS.items():
        place = "options.md" if name in LIGHTNING_CLI else f"#ee-lightning-{name}"
        lines.append(f"| [`ee-lightning {name}`]({place}) | {what} |")
    for name in MODULES:
        module = import_module(f"ee_lightning.cli.{MODULES[name]}")
        make = getattr(module, "parser", None)
        parser = make() if make else CommandParser(getattr(module, name.replace("-", "_")), name)
        lines += ["", f"## ee-lightning {name}", "", "```console", *(parser.usage or "").splitlines(), "```", ""]
        lines += [parser.description or "", "", *TABLE]
        lines += [row(action) for action in parser._actions if action.help != SUPPRESS]
    return "\n".join(lines)


def options() -> str:
    """Return the page of all options of ``fit``, grouped by the first parts of their names."""
    from ee_lightning import training
    from ee_lightning.data import CustomTask
    from ee_lightning.exits import CRITERIA
    from ee_lightning.fit.command import FitOptionsParser

    groups: dict[str, list[Action]] = {group: [] for group in GROUPS}
    for action in FitOptionsParser()._subcommand_parsers["fit"]._actions:
        group, _, last = action.dest.rpartition(".")
        if last != "help" and action.help not in (SUPPRESS, "Path to a configuration file."):
            groups.setdefault(group, []).append(action)
    groups["data.own"] += of_class(CustomTask, "data.own")
    lines = ["# Options of `fit`, `validate` and `test`", ""]
    lines += [
        "Generated from the parser. An option is a flag, as in `--data.task sst2`, or a key of a configuration file."
    ]
    lines += ["Options that may be null take `null` for None."]
    for group, actions in groups.items():
        if actions:
            lines += [f"\n## {f'`{group}`' if group else 'general'}", "", *TABLE, *map(row, actions)]
    lines += [
        "\n## Options of objectives",
        "",
        "Under `--model.objective`, as in `--model.objective.layer_weights linear`.",
    ]
    for name in sorted(each for each in vars(training) if each.endswith("Objective") and each != "Objective"):
        lines += class_options(getattr(training, name), name, "model.objective")
    lines += ["\n## Options of criteria", "", "In brackets behind the name, as in `--criteria 'voting(k=0.5)'`."]
    for name, criterion in CRITERIA.items():
        lines += class_options(criterion, name, "")
    return "\n".join(lines)


def class_options(kind: type, name: str, prefix: str) -> list[str]:
    """Return the section of a class with its options."""
    actions = of_class(kind, prefix)
    return [f"\n### `{name}`", "", *TABLE, *map(row, actions)] if actions else [f"\n### `{name}`", "", "No options."]


def of_class(kind: type, prefix: str) -> list[Action]:
    """Return the options of a class, as jsonargparse reads them from its signature and docstring."""
    parser = ArgumentParser()
    parser.add_class_arguments(kind, prefix or None, as_group=False, fail_untyped=False)
    return [each for each in parser._actions if each.nargs != 0 and each.dest != prefix]


def row(action: Action) -> str:
    """Return the row of an option in a table."""
    source, _, name = max(action.option_strings, key=len, default=str(action.metavar)).rpartition(" --> ")
    default = "" if action.default is None or action.default == SUPPRESS else " ".join(str(action.default).split())
    default = {"False": "false", "True": "true"}.get(default, default)
    default = "see below" if "Namespace(" in default else default
    meaning = " ".join(str(action.help or "").replace("``", "`").replace("%%", "%").split())
    meaning = re.sub(r"\s*\((required, )?(type|default|env): .*\)$", "", meaning)
    meaning = f"Can't be given: it is taken from `{source}`. {meaning}" if source else meaning
    return f"| {escaped(f'`{name}`')} | {escaped(f'`{default}`') if default else ''} | {escaped(meaning)} |"


def escaped(text: str) -> str:
    """Return a text of a cell in which nothing but code in backticks is HTML or Markdown."""
    parts = re.split(r"(`[^`]*`)", text)
    outside = [re.sub(r"([<>*_\[\]|])", lambda found: f"&#{ord(found[1])};", part) for part in parts[::2]]
    parts[::2] = outside
    return "".join(part.replace("|", "\\|") for part in parts)


def api() -> str:
    """Return the page that asks mkdocstrings for every public name of the packages."""
    lines = ["# Python API", "", "Generated from the docstrings. Import a name from the package under which it stands."]
    for room, title in ROOMS.items():
        lines += ["", f"## ee_lightning.{room}", "", f"{title}."]
        lines += [f"\n::: ee_lightning.{room}.{name}" for name in public_names(room)]
    return "\n".join(lines)


def public_names(room: str) -> Iterator[str]:
    """Yield the names that a package exports, as its ``__init__`` or the stub beside it has them."""
    folder = REPOSITORY / "ee_lightning" / room
    stub = folder / "__init__.pyi"
    source = (stub if stub.exists() else folder / "__init__.py").read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names if alias.asname == alias.name and not alias.name.isupper())


def findings() -> str:
    """Return the page of what surprised us in libraries, from the headers of ``findings/*.sh``."""
    lines = ["# Findings", "", "What surprised us in the libraries below us. Each finding is a script in `findings/`"]
    lines += ["that installs the named versions into a fresh environment and shows the behaviour."]
    for file in sorted((REPOSITORY / "findings").glob("*.sh")):
        header = file.read_text(encoding="utf-8").split("set -euo pipefail")[0].splitlines()[1:]
        text = " ".join(line if PARTS.match(line) else line.removeprefix("#").strip() for line in header)
        _, *parts = PARTS.split(text)
        said = dict(zip(parts[::2], parts[1::2], strict=True))
        lines += ["", f"## {file.stem.replace('_', ' ').capitalize()}", ""]
        lines += [f"*{said['Version'].strip()}* · `findings/{file.name}`", ""]
        lines += [f"**One would guess:** {escaped(said['Guess'].strip())}", ""]
        lines += [f"**What happens:** {escaped(said['Really'].strip())}", ""]
        lines += [f"**Seen:** `{said['Seen'].strip()}`"]
    return "\n".join(lines)
