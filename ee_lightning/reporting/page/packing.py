"""Arrays and texts as they stand inside a page of HTML."""

import base64
import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

_TYPES = {"u1": "Uint8Array", "u2": "Uint16Array", "u4": "Uint32Array", "f4": "Float32Array", "f8": "Float64Array"}
_SPECIAL = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def packed(values: ArrayLike, kind: str) -> dict[str, str]:
    """Return an array of any shape, flat, as a page's scripts unpack it.

    Args:
        values: The array, whose numbers the kind can hold.
        kind: Of its numbers: ``u1``, ``u2``, ``u4``, ``f4`` or ``f8``, all little-endian.

    Example:
        >>> packed([1, 2, 258], "u2")
        {'type': 'Uint16Array', 'base64': 'AQACAAIB'}
    """
    content = np.ascontiguousarray(values, dtype=f"<{kind}").tobytes()
    return {"type": _TYPES[kind], "base64": base64.b64encode(content).decode()}


def packed_counts(values: ArrayLike) -> dict[str, str]:
    """Return whole numbers from 0, packed as small as they allow.

    Example:
        >>> packed_counts([0, 255])["type"], packed_counts([0, 256])["type"]
        ('Uint8Array', 'Uint16Array')
    """
    array = np.asarray(values)
    most = array.max(initial=0)
    return packed(array, "u1" if most < 1 << 8 else "u2" if most < 1 << 16 else "u4")


def finite(number: float) -> float | None:
    """Return a number as JSON has it: None for infinity and NaN.

    Example:
        >>> finite(0.5), finite(float("inf"))
        (0.5, None)
    """
    return number if isfinite(number) else None


def as_script_data(content: Mapping[str, Any]) -> str:
    r"""Return JSON that may stand inside a script element of any page: nothing in it ends the element.

    Example:
        >>> as_script_data({"text": "</script>&"})
        '{"text":"\\u003c/script\\u003e\\u0026"}'
    """
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).translate(_SPECIAL)
