"""Environments that hold what an installation with some extras would, made of links to what is installed here."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

REPOSITORY = Path(__file__).parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def needed(*extras: str) -> dict[str, Distribution]:
    """Return the distributions, by normalised name, that ``ee_lightning`` with extras needs, itself left out."""
    found: dict[str, Distribution] = {}
    asked = [("ee_lightning", frozenset(extras))]
    done = set()
    while asked:
        if (step := asked.pop()) in done:
            continue
        done.add(step)
        name, of = step
        if name != "ee_lightning":
            found[name] = distribution(name)
        for requirement in _requirements(name, of):
            asked.append((_normalised(requirement.name), frozenset(requirement.extras)))
    return found


def size(*extras: str) -> int:
    """Return how many bytes an installation takes, bytecode and this package left out."""
    files = (file for each in needed(*extras).values() for file in each.files or () if file.suffix != ".pyc")
    return sum(Path(file.locate()).stat().st_size for file in files if Path(file.locate()).is_file())


def environment(folder: Path, *extras: str) -> Path:
    """Make an environment with the extras, and the package as it is here, and return its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    for each in needed(*extras).values():
        tops = {file.parts[0] for file in each.files or () if file.parts[0] not in {"..", "__pycache__"}}
        for top in tops:
            place = packages / top
            if not place.exists():
                place.symlink_to(Path(each.locate_file(top)))
    (packages / "here.pth").write_text(f"{REPOSITORY}\n")
    return folder / "bin" / "python"


def _requirements(name: str, extras: frozenset[str]) -> Iterator[Requirement]:
    if name == "ee_lightning":
        optional = PROJECT["optional-dependencies"]
        yield from map(Requirement, PROJECT["dependencies"])
        for extra in extras:
            yield from map(Requirement, optional[extra])
        return
    for line in distribution(name).requires or ():
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower().replace("ee-lightning", "ee_lightning")
