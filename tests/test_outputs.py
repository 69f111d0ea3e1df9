"""What commands print today takes the place of what pages show."""

from datetime import date
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

PAGE = """# Page
<!-- seen 2020-01-01: echo new; echo '  lines' -->
```text
old
```

```python
print("printed", 1 + 1)
```

<!-- seen 2020-01-01: the block above -->
```text
printed 3
```
"""


@pytest.fixture(scope="module")
def outputs() -> ModuleType:
    spec = spec_from_file_location("outputs", Path(__file__).parents[1] / "docs/outputs.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_outputs_of_a_page_are_those_of_today(
    outputs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    renewed = PAGE.replace("2020-01-01", str(date.today())).replace("\nold\n", "\nnew\n  lines\n")
    assert outputs.renewed(PAGE) == renewed.replace("printed 3", "printed 2")


def test_a_page_shows_a_part_of_an_output_that_begins_and_ends_as_before(outputs: ModuleType) -> None:
    printed = "Epoch 1\nscores: 2\n\nrow 3\npage: new\nNext\n"
    assert outputs.cut(printed, "scores: 1\nrow 1\npage: old\n") == "scores: 2\n\nrow 3\npage: new\n"


def test_a_first_choice_leaves_the_operating_point_that_is_there(
    outputs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    point = Path("runs/demo/version_0/operating_point.json")
    point.parent.mkdir(parents=True)
    point.write_text("kept")
    assert outputs.of_first_choice(f"test -e {point} || echo first") == "first\n"
    assert point.read_text() == "kept"
