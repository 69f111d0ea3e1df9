"""What requests may ask."""

import json
from dataclasses import replace
from math import inf

import pytest

from ee_lightning.inference import EarlyExitPredictor
from ee_lightning.serving.limits import BadRequest, Limits, rows_of_body, threshold_of_body

LIMITS = Limits(texts=3, characters=20)


def body(**fields: object) -> bytes:
    return json.dumps(fields).encode()


def test_rows_of_one_text_and_of_several(small_predictor: EarlyExitPredictor) -> None:
    deployment = small_predictor.deployment
    assert rows_of_body(body(text="a film"), deployment, LIMITS) == ([("a film",)], True)
    assert rows_of_body(body(texts=["a", ""]), deployment, LIMITS) == ([("a",), ("",)], False)
    pairs = replace(deployment, text_columns=("first", "second"))
    assert rows_of_body(body(text="a", pair="b"), pairs, LIMITS) == ([("a", "b")], True)
    assert rows_of_body(body(texts=["a"], pairs=["b"]), pairs, LIMITS) == ([("a", "b")], False)


@pytest.mark.parametrize(
    ("sent", "status", "what"),
    [
        (b"", 400, "Invalid JSON"),
        (b'{"text": "a', 400, "Invalid JSON"),
        (b'{"text": "\\ud800"}', 400, "Invalid JSON"),
        (b"\xff", 400, "Invalid JSON"),
        (b"[" * 100_000, 400, "Invalid JSON: recursion limit"),
        (b"[]", 422, "object"),
        (b"{}", 422, 'either "text"'),
        (body(text="a", texts=["b"]), 422, 'either "text"'),
        (body(text=1), 422, "text: Input should be a valid string"),
        (body(texts=["a", None]), 422, "texts.1: Input should be a valid string"),
        (body(texts="a film"), 422, "texts: Input should be a valid array"),
        (body(texts=[]), 422, "is empty"),
        (body(sentence="a"), 422, "sentence: Extra inputs"),
        (body(text="a", pair="b"), 422, "mood takes one text"),
        (body(text="a", pairs=["b"]), 422, '"pair" goes with "text"'),
        (body(texts=["a"] * 4), 413, "4 texts are too many"),
        (body(texts=["a", "b" * 21]), 413, "text 1 has 21 characters, and may have 20"),
    ],
)
def test_bad_bodies_are_refused_in_a_line(
    sent: bytes, status: int, what: str, small_predictor: EarlyExitPredictor
) -> None:
    with pytest.raises(BadRequest) as refused:
        rows_of_body(sent, small_predictor.deployment, LIMITS)
    assert refused.value.status == status
    assert what in str(refused.value)
    assert "\n" not in str(refused.value)


def test_pairs_are_asked_for_and_counted(small_predictor: EarlyExitPredictor) -> None:
    pairs = replace(small_predictor.deployment, text_columns=("first", "second"))
    with pytest.raises(BadRequest, match=r"takes two texts \(first and second\)"):
        rows_of_body(body(text="a"), pairs, LIMITS)
    with pytest.raises(BadRequest, match="1 text and 2 pairs"):
        rows_of_body(body(texts=["a"], pairs=["b", "c"]), pairs, LIMITS)


def test_a_request_that_could_never_wait_is_refused_for_good(small_predictor: EarlyExitPredictor) -> None:
    with pytest.raises(BadRequest, match="3 texts are too many for one request, which may have 2") as refused:
        rows_of_body(body(texts=["a"] * 3), small_predictor.deployment, Limits(texts=3, waiting=2))
    assert refused.value.status == 413


def test_thresholds() -> None:
    assert threshold_of_body(b'{"threshold": 0.5}', 3) == (0.5, 0.5, 0.5)
    assert threshold_of_body(b'{"threshold": [0.5, "inf", 1]}', 3) == (0.5, inf, 1.0)
    assert threshold_of_body(b'{"threshold": null}', 3) is None
    for sent in (
        b'{"threshold": [1, 2]}',
        b'{"threshold": "nan"}',
        b"{}",
        b'{"threshold": "high"}',
        b'{"other": 1}',
        b'{"threshold": true}',
    ):
        with pytest.raises(BadRequest):
            threshold_of_body(sent, 3)
