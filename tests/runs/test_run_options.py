"""What counts as another option."""

import pytest

from ee_lightning.runs.run_options import FREE_TO_DIFFER, changes


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, ["a.c: 2 → 3"]),
        ({"a": None}, {"a": True}, ["a: null → true"]),
        ({"a": 1}, {"a": 1.0}, ["a: 1 → 1.0"]),  # which differ as trainer.val_check_interval
        ({"a": 1}, {"a": "1"}, []),
        ({"a": 1e-4}, {"a": 0.0001}, []),
        ({"a": []}, {"a": {}}, ["a: [] → {}"]),
        ({"a": ["x"]}, {"a": ["x", "y"]}, ["a.1: (none) → y"]),
        ({"a": 1}, {"a": 1, "b": None}, ["b: (none) → null"]),  # an option that is new
        ({"a": "auto"}, {"a": {"class_path": "x"}}, ["a: auto → (none)", "a.class_path: (none) → x"]),
        ({"class_path": "torch.nn.Linear"}, {"class_path": "torch.nn.modules.linear.Linear"}, []),
        (
            {"class_path": "torch.fx.Node"},
            {"class_path": "torch.nn.GELU"},
            ["class_path: torch.fx.Node → torch.nn.GELU"],
        ),
        ({"class_path": "a.B"}, {"class_path": "c.B"}, ["class_path: a.B → c.B"]),  # which are not there
        ({"name": "torch.fx.Node"}, {"name": "torch.fx.node.Node"}, ["name: torch.fx.Node → torch.fx.node.Node"]),
    ],
)
def test_what_differs_is_told(before: dict[str, object], after: dict[str, object], expected: list[str]) -> None:
    assert changes(before, after) == expected
    assert changes(after, after) == []


@pytest.mark.parametrize("free", FREE_TO_DIFFER)
def test_what_is_free_may_differ_with_all_below_it_and_nothing_beside_it(free: str) -> None:
    group, _, name = free.rpartition(".")

    def nested(option: str, value: object) -> dict[str, object]:
        return {group: {option: value}} if group else {option: value}

    assert changes(nested(name, None), nested(name, {"class_path": "x"})) == []
    assert changes(nested(f"{name}_too", 1), nested(f"{name}_too", 2)) == [f"{free}_too: 1 → 2"]
