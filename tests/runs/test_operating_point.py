"""The file that deployment reads."""

import json
import math
from dataclasses import replace

import pytest
from factories import operating_point
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_lightning import __version__
from ee_lightning.errors import OptionError, RunFolderError
from ee_lightning.exits.naming import CriterionSpec
from ee_lightning.runs.operating_point import OPERATING_POINT, OperatingPoint

POINT = operating_point()


@given(
    threshold=st.floats(allow_nan=False, allow_infinity=False)
    | st.tuples(*[st.floats(allow_nan=False)] * 11, st.floats(allow_nan=False, allow_infinity=False)),
    fitted=st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), max_size=3),
    guarantee=st.none() | st.text(),
)
@settings(deadline=None, max_examples=40)
def test_it_comes_back_to_the_last_bit(tmp_path_factory, threshold, fitted, guarantee):
    learnt = {"num_exits": 12, "num_classes": 2, "largest_when_differing": fitted}
    spec = CriterionSpec("ee_lightning.exits.Conformal", fitted=learnt)
    point = replace(POINT, threshold=threshold, criterion=spec, guarantee=guarantee)
    file = tmp_path_factory.mktemp("run") / OPERATING_POINT
    point.write(file)
    assert OperatingPoint.read(file) == OperatingPoint.read(file.parent) == point


def test_the_file_tells_its_format_and_who_wrote_it(tmp_path):
    POINT.write(tmp_path / OPERATING_POINT)
    fields = json.loads((tmp_path / OPERATING_POINT).read_text())
    assert (fields["format"], fields["version"]) == (2, __version__)


@pytest.mark.parametrize("threshold", [math.inf, math.nan, (math.inf,) * 12, (0.5,) * 11 + (math.nan,)])
def test_a_threshold_that_is_not_finite_is_refused(threshold):
    with pytest.raises(ValueError, match="`threshold` to be finite"):
        replace(POINT, threshold=threshold)


def test_thresholds_of_another_number_of_exits_are_refused():
    with pytest.raises(OptionError, match="6 thresholds for 12 exits"):
        replace(POINT, threshold=(0.5,) * 6)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(
        RunFolderError, match=f"no operating point[\\s\\S]*{OPERATING_POINT}[\\s\\S]*ee-lightning choose"
    ):
        OperatingPoint.read(tmp_path)


def edited(tmp_path, edit):
    """Write an operating point and change its fields."""
    file = tmp_path / OPERATING_POINT
    POINT.write(file)
    fields = json.loads(file.read_text())
    edit(fields)
    file.write_text(json.dumps(fields))
    return file


@pytest.mark.parametrize("number", [0, 3, "1", None])
def test_another_format_is_refused_with_the_release_that_wrote_it(tmp_path, number):
    file = edited(tmp_path, lambda fields: fields.update(format=number, version="9.9"))
    with pytest.raises(RunFolderError, match=f"has format {number}, written by ee_lightning 9.9"):
        OperatingPoint.read(file)


@pytest.mark.parametrize(
    "edit",
    [
        lambda fields: fields.pop("format"),
        lambda fields: fields.pop("threshold"),
        lambda fields: fields.update(threshold="high"),
        lambda fields: fields.update(threshold=math.inf),
        lambda fields: fields.pop("asked"),
        lambda fields: fields["asked"].pop("seed"),
        lambda fields: fields["criterion"].update(unknown=1),
        lambda fields: fields["reached"].update(speedup=2.0),
        lambda fields: fields.update(reached=None),
        lambda fields: fields.update(unknown=1),
        lambda fields: fields.update(layers_of_exits=12),
        lambda fields: fields.update(layers_of_exits=[1.0, 2.0]),
        lambda fields: fields.update(layers_of_exits=[]),
        lambda fields: fields.update(layers_of_exits=[3, 3, 12]),
        lambda fields: fields.update(layers_of_exits=[6, 3, 12]),
        lambda fields: fields.update(layers_of_exits=[0, 12]),
        lambda fields: fields["asked"].update(seed=None),
        lambda fields: fields["reached"]["speedup"].update(low="1"),
        lambda fields: fields["criterion"].update(init_args=[]),
        lambda fields: fields["criterion"].update(init_args={"k": "high"}),
        lambda fields: fields["criterion"].update(class_path="ee_lightning.exits.Vote"),
    ],
)
def test_missing_unknown_and_broken_fields_are_refused(tmp_path, edit):
    with pytest.raises(RunFolderError, match=r"operating_point.json can't be read: [\s\S]*ee-lightning choose"):
        OperatingPoint.read(edited(tmp_path, edit))


@pytest.mark.parametrize(
    "fitted",
    [
        {},
        {"num_exits": 6},
        {"num_exits": [[]]},
        {"num_exits": 12, "num_classes": 2},
        {"num_exits": 12, "num_classes": 2, "largest_when_differing": "all"},
        {"num_exits": 12, "num_classes": 2, "largest_when_differing": 0.5},
        {"num_exits": 12, "num_classes": 2, "largest_when_differing": [float("nan")]},
    ],
)
def test_a_criterion_that_did_not_learn_what_it_needs_is_refused(tmp_path, fitted):
    criterion = {"class_path": "ee_lightning.exits.Conformal", "init_args": {}, "fitted": fitted}
    with pytest.raises(RunFolderError, match=r"operating_point.json can't be read: "):
        OperatingPoint.read(edited(tmp_path, lambda fields: fields.update(criterion=criterion)))


def test_what_is_wrong_is_named(tmp_path):
    with pytest.raises(RunFolderError, match="can't be read: chosen_on is '12', and it should be a valid integer"):
        OperatingPoint.read(edited(tmp_path, lambda fields: fields.update(chosen_on="12")))
    unfitted = {"class_path": "ee_lightning.exits.Conformal"}
    with pytest.raises(RunFolderError, match="can't be read: conformal was not fitted on 12 exits"):
        OperatingPoint.read(edited(tmp_path, lambda fields: fields.update(criterion=unfitted)))


def test_a_folder_in_its_place_is_refused(tmp_path):
    (tmp_path / OPERATING_POINT).mkdir()
    for path in (tmp_path, tmp_path / OPERATING_POINT):
        with pytest.raises(RunFolderError, match="no operating point"):
            OperatingPoint.read(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "\udcff"])
def test_what_is_no_json_object_is_refused(tmp_path, text):
    file = tmp_path / OPERATING_POINT
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(RunFolderError, match="can't be read"):
        OperatingPoint.read(file)


def as_format_1(fields):
    fields.update(format=1, num_exits=len(fields.pop("layers_of_exits")))


def test_in_format_1_every_layer_had_an_exit(tmp_path):
    assert OperatingPoint.read(edited(tmp_path, as_format_1)) == POINT
    for number in ("12", 12.0, True, 0, 10**9):
        file = edited(tmp_path, lambda fields: (as_format_1(fields), fields.update(num_exits=number)))  # noqa: B023
        with pytest.raises(RunFolderError, match="can't be read: num_exits is "):
            OperatingPoint.read(file)
