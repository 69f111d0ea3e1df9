"""Files that are damaged, or can't be written."""

import json
import os
import re
from argparse import ArgumentTypeError
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from ee_lightning.errors import DataError, OptionError, RunFolderError
from ee_lightning.files import found_in, named_by_user, read_json, read_yaml, reading, unfinished_of, written_whole


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyError("logits"), "it lacks 'logits'"),
        (ValueError("no JSON"), "no JSON"),
        (SafetensorError("too short"), "too short"),
        (FileNotFoundError(2, "No such file or directory"), "No such file or directory"),
        (OptionError("got k=-1", where="Voting.k", hint="give a number"), "got k=-1"),
    ],
)
def test_the_file_is_blamed(tmp_path, error, reason):
    file = tmp_path / "a.json"
    with pytest.raises(RunFolderError) as caught, reading(file, hint="do it again"):
        raise error
    assert (caught.value.what, caught.value.where, caught.value.hint) == (
        f"a.json can't be read: {reason}",
        file,
        "do it again",
    )


@pytest.mark.parametrize("error", [RunFolderError("of another format"), DataError("empty"), KeyboardInterrupt()])
def test_what_has_a_better_message_keeps_it(tmp_path, error):
    with pytest.raises(type(error)) as caught, reading(tmp_path / "a.json", hint="do it again"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize("content", ["[]", "3", "null", ""])
def test_json_that_is_no_object_is_refused(tmp_path, content):
    file = tmp_path / "a.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=r"no JSON object|Expecting value"):
        read_json(file)


@pytest.mark.parametrize("place", ["file/a.json", "folder"])
def test_a_file_that_cannot_be_written_is_told_of(tmp_path, place):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with (
        pytest.raises(RunFolderError, match=r"can't be written: [\s\S]*hint:"),
        written_whole(tmp_path / place) as file,
    ):
        file.write_text("{}")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


def test_a_disk_that_is_full_leaves_the_file_as_it_was(tmp_path):
    file = tmp_path / "new" / "a.json"
    with written_whole(file) as unfinished:
        unfinished.write_text("{}")
    with pytest.raises(RunFolderError, match=r"a.json can't be written: No space left"), written_whole(file):
        raise OSError(28, "No space left on device")
    assert [path.name for path in file.parent.iterdir()] == ["a.json"]
    assert json.loads(file.read_text()) == {}


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (13, "permission"),
        (1, "permission"),
        (28, "free space"),
        (30, "read-only"),
        (36, "shorter name"),
        (116, "mount"),
    ],
)
def test_the_hint_fits_the_error(tmp_path: Path, number: int, hint: str) -> None:
    error = OSError(number, os.strerror(number))
    with pytest.raises(RunFolderError) as read, reading(tmp_path / "a", hint="do it again"):
        raise error
    with pytest.raises(RunFolderError) as written, written_whole(tmp_path / "a"):
        raise error
    for caught in (read, written):
        assert hint in str(caught.value.hint)
        assert os.strerror(number) in caught.value.what


def test_hidden_files_of_processes_of_one_number_differ(tmp_path: Path) -> None:
    names = {unfinished_of(tmp_path / "a.json").name for _ in range(100)}
    assert len(names) == 100
    assert all(re.fullmatch(rf"\.a\.json\.{os.getpid()}-[0-9a-f]{{8}}\.unfinished", name) for name in names)


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "a.json").symlink_to("mine")
    with written_whole(tmp_path / "a.json") as file:
        file.write_text("{}")
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (tmp_path / "a.json").is_symlink()
    assert (tmp_path / "a.json").read_text() == "{}"


def test_an_output_that_its_user_names_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("not-there-yet")
    assert named_by_user(str(tmp_path / "link")) == (tmp_path / "not-there-yet").resolve()
    assert named_by_user("a/../plain.csv") == Path("a/../plain.csv")


def test_a_folder_is_listed_or_else_an_error(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "c.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in found_in(tmp_path, "*.csv")] == ["a.csv", "b.csv"]
    assert found_in(tmp_path / "nowhere", "*") == found_in(tmp_path / "a.csv", "*") == []


def test_a_folder_that_may_not_be_read_is_not_taken_for_an_empty_one(tmp_path: Path, no_rights: None) -> None:
    closed = tmp_path / "closed"
    if os.geteuid() != 65_534:  # to which pytest's folder, of the superuser, is closed as it is
        closed.mkdir(mode=0)
    with pytest.raises(PermissionError):
        found_in(closed, "*")


def test_a_mistake_in_the_program_is_not_blamed_on_the_file(tmp_path):
    with pytest.raises(ValueError, match="ours"), written_whole(tmp_path / "a.json"):
        raise ValueError("ours")


def test_a_file_can_be_read_by_whom_the_user_lets(tmp_path):
    (tmp_path / "plain").touch()
    with written_whole(tmp_path / "a.safetensors") as file:
        save_file({"logits": torch.zeros(3)}, file)
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("content", "said"), [("run: [", "it holds no YAML"), ("", "no options"), ("- a", "no options")]
)
def test_what_is_no_mapping_in_yaml_is_refused(content: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(content)
    with pytest.raises(RunFolderError, match=said), reading(file, hint="train again"):
        read_yaml(file)


def test_a_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OptionError, match=r"device or a pipe[\s\S]*pipe[\s\S]*hint:"), written_whole(tmp_path / "pipe"):
        pass
    assert (tmp_path / "pipe").is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.parametrize("path", ["", ".", "/"])
def test_an_output_needs_a_name(path: str) -> None:
    with pytest.raises(ArgumentTypeError, match="names no file"):
        named_by_user(path)
