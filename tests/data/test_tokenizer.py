import json

import pytest

from ee_lightning.data.encoding import load_tokenizer
from ee_lightning.errors import BackboneError, DataError, OptionError


def test_a_folder_is_loaded(tokenizer_folder):
    assert load_tokenizer(str(tokenizer_folder))("the cat")["input_ids"] == [2, 4, 6, 3]


def test_a_packaged_name_is_resolved(tokenizer_folder, monkeypatch):
    monkeypatch.setattr("ee_lightning.data.encoding.resolve", {"packaged:tiny": tokenizer_folder}.__getitem__)
    assert load_tokenizer("packaged:tiny").pad_token_id == 0


def test_no_name_is_an_error_that_says_what_to_give():
    with pytest.raises(OptionError, match="no tokenizer is named") as caught:
        load_tokenizer("")
    assert caught.value.where == "--data.tokenizer"


def test_an_unknown_package_lists_the_known_ones():
    with pytest.raises(OptionError, match="unknown packaged asset") as caught:
        load_tokenizer("packaged:bert")
    assert "packaged:all-minilm-l6-v2" in caught.value.hint


@pytest.mark.parametrize("name", ["/nowhere/at/all", "google-bert/bert-base-uncased"])
def test_a_tokenizer_that_is_nowhere_is_answered_by_the_ways_there_are(name, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BackboneError, match="no tokenizer can be loaded") as caught:
        load_tokenizer(name)
    assert caught.value.where == name
    assert "packaged:all-minilm-l6-v2" in caught.value.hint


@pytest.mark.parametrize("content", [None, "{", "{}"])
def test_a_folder_without_a_whole_tokenizer_is_refused(content, tmp_path):
    if content:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(BackboneError, match="no tokenizer can be loaded"):
        load_tokenizer(str(tmp_path))


def test_a_tokenizer_that_cannot_pad_is_refused(tokenizer_folder, tmp_path):
    for file in tokenizer_folder.iterdir():
        settings = json.loads(file.read_text())
        settings.pop("pad_token", None)
        (tmp_path / file.name).write_text(json.dumps(settings))
    with pytest.raises(DataError, match="no padding token") as caught:
        load_tokenizer(str(tmp_path))
    assert caught.value.where == str(tmp_path)
    assert "pad_token" in caught.value.hint


@pytest.mark.parametrize("length", ["many", 0, -1])
def test_a_length_that_makes_no_sense_is_refused(length, tokenizer_folder, tmp_path):
    for file in tokenizer_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    fields = json.loads((tmp_path / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({**fields, "model_max_length": length}))
    with pytest.raises(DataError, match=rf"model_max_length is {length!r}") as caught:
        load_tokenizer(str(tmp_path))
    assert caught.value.where == str(tmp_path)
