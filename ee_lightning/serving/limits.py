"""What a request may ask, checked before it meets those of others."""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from ee_lightning.errors import counted, shown
from ee_lightning.inference.deployment import Deployment
from ee_lightning.inference.texts import Texts

_Made = TypeVar("_Made", bound=BaseModel)


class BadRequest(ValueError):
    """A request that can't be answered.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, what: str, status: int = 422) -> None:
        super().__init__(what)
        self.status = status


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    text: str | None = None
    pair: str | None = None
    texts: list[str] | None = None
    pairs: list[str] | None = None


def _numbers(value: Any) -> Any:
    values = value if isinstance(value, list) or value is None else [value]
    if any(isinstance(each, bool) for each in values or ()):
        raise ValueError("true and false are no numbers")
    return values


class _NewThreshold(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=True)
    threshold: Annotated[list[float] | None, BeforeValidator(_numbers)]


class Limits(BaseModel):
    """The most that is taken.

    Attributes:
        body: Bytes of a request.
        texts: Rows of a request.
        characters: Characters of a text, of which the model takes no more than its ``max_length`` tokens anyway.
        waiting: Rows that wait for an answer, of all requests together.
        seconds: How long a request waits.
    """

    body: int = 4_000_000
    texts: int = 256
    characters: int = 20_000
    waiting: int = 1_000
    seconds: float = 30.0


def rows_of_body(body: bytes, deployment: Deployment, limits: Limits) -> tuple[list[Texts], bool]:
    """Return the rows that a request asks about, and whether it is about one text and not a list.

    Raises:
        BadRequest: It is malformed, of another task's form, or too much.
    """
    asked = _read(_Body, body)
    is_one = asked.text is not None
    texts = [asked.text] if asked.text is not None else asked.texts
    pairs = [asked.pair] if asked.pair is not None else asked.pairs
    if texts is None or (is_one and asked.texts is not None):
        raise BadRequest('give either "text", one text, or "texts", a list of them')
    if (asked.pairs if is_one else asked.pair) is not None:
        raise BadRequest('"pair" goes with "text", and "pairs" with "texts"')
    if not texts:
        raise BadRequest('"texts" is empty')
    most = min(limits.texts, limits.waiting)  # more could never wait, however often they came
    if len(texts) > most:
        raise BadRequest(f"{len(texts)} texts are too many for one request, which may have {most}", 413)
    if (pairs is not None) != deployment.takes_pairs:
        takes = " and ".join(deployment.text_columns)
        wanted = f'two texts ({takes}): "text" and "pair"' if deployment.takes_pairs else "one text, without a pair"
        raise BadRequest(f"{deployment.task} takes {wanted}")
    if pairs is not None and len(pairs) != len(texts):
        raise BadRequest(f"there are {counted(len(texts), 'text')} and {counted(len(pairs), 'pair')}")
    rows: list[Texts] = [(text,) for text in texts] if pairs is None else [*zip(texts, pairs, strict=True)]
    for number, row in enumerate(rows):
        for text in row:
            if len(text) > limits.characters:
                what = f"text {number} has {len(text)} characters, and may have {limits.characters}"
                raise BadRequest(what, 413)
    return rows, is_one


def threshold_of_body(body: bytes, num_exits: int) -> tuple[float, ...] | None:
    """Return the threshold of each exit that a request sets; None for the model's own.

    Raises:
        BadRequest: It is no number, or there are not as many as exits.
    """
    asked = _read(_NewThreshold, body).threshold
    if asked is None:
        return None
    if len(asked) not in (1, num_exits) or any(each != each for each in asked):
        raise BadRequest(f'"threshold" is a number, "inf", {num_exits} of them, or null for the model\'s own')
    return tuple(asked * (num_exits if len(asked) == 1 else 1))


def _read(kind: type[_Made], body: bytes) -> _Made:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        status = 400 if first["type"] == "json_invalid" else 422
        raise BadRequest(shown(f"{place}: {first['msg']}" if place else first["msg"], 300), status) from error
