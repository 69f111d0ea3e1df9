"""What an installation holds, and what a command says where its extra is missing."""

import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from installed import PROJECT, environment, needed, size

from ee_lightning.extras import EXTRA_OF, as_missing_extra, require_extra

TODAY_IN_ALL = ("train", "plot", "wandb")  # what every installation held before there were extras
REFUSED = """
import sys
from ee_lightning.cli import main
for command in (["fit", "--config", "demo"], ["curves", "run"], ["tables", "runs"], ["export", "run", "graphs"]):
    print(main(command), file=sys.stderr)
import ee_lightning.training
"""


def test_every_extra_installs_what_it_is_asked_for_and_all_holds_every_one() -> None:
    distributions = packages_distributions()
    for package, extra in EXTRA_OF.items():
        needs = {re.split(r"[\[<>=]", each)[0].lower() for each in PROJECT["optional-dependencies"][extra]}
        assert {each.lower() for each in distributions[package]} & needs, package
    of_users = PROJECT["optional-dependencies"].keys() - {"all", "demo", "dev", "docs"}
    (every,) = PROJECT["optional-dependencies"]["all"]
    assert set(every.removeprefix("ee_lightning[").removesuffix("]").split(",")) == of_users


def test_predicting_takes_no_more_than_it_needs() -> None:
    assert not needed("runtime").keys() & {"torch", "transformers", "lightning", "scipy", "pandas", "pyarrow"}
    assert not needed("torch").keys() & {"lightning", "datasets", "wandb", "matplotlib", "scipy", "pandas", "pyarrow"}
    assert size() < size("runtime") < 0.25 * size(*TODAY_IN_ALL)
    assert size("torch") < size(*TODAY_IN_ALL) - 400e6  # bytes


def test_what_needs_an_extra_names_it_in_one_line(tmp_path: Path) -> None:
    python = environment(tmp_path / "env", "torch")
    done = subprocess.run([python, "-c", REFUSED], capture_output=True, text=True, check=False, cwd=tmp_path)
    told = [line for line in done.stderr.splitlines() if "ee_lightning[train]" in line]
    assert [line.partition(":")[0] for line in told] == ["error"] * 4 + ["ee_lightning.extras.MissingExtraError"]
    assert all("is not installed: pip install 'ee_lightning[train]'" in line for line in told[:3])
    assert done.stderr.splitlines()[1:8:2] == ["1"] * 4


def test_a_package_that_is_broken_is_told_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    error = ImportError("libgomp.so.1: cannot open shared object file", name="onnxruntime.capi")
    wrapped = RuntimeError("lazy")
    wrapped.__cause__ = error
    expected = (
        "onnxruntime can't be imported (libgomp.so.1: cannot open shared object file): "
        "pip install 'ee_lightning[runtime]'"
    )
    assert str(as_missing_extra(wrapped)) == expected
    assert as_missing_extra(ImportError("no", name="my_module")) is None
    quoting = ValueError("Problem with class_path: wandb is not installed: pip install 'ee_lightning[wandb]' and more")
    assert str(as_missing_extra(quoting)) == "wandb is not installed: pip install 'ee_lightning[wandb]'"
    require_extra("plot")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"^matplotlib is not installed: pip install 'ee_lightning\[plot\]'$"):
        require_extra("plot")
