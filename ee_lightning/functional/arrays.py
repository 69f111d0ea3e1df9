"""What is asked of torch tensors and of numpy arrays alike; importing it loads no torch.

Both are asked by their own methods where these differ, because it is done at every exit of every sample.
"""

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from array_api_compat import array_namespace, device
from numpy.typing import NDArray
from typing_extensions import TypeIs

if TYPE_CHECKING:
    import torch

    Array: TypeAlias = torch.Tensor  # for which numpy's arrays pass too
    Device: TypeAlias = torch.device
else:
    Array = Device = Any


def _is_tensor(array: Array) -> "TypeIs[torch.Tensor]":
    """Whether an array is a tensor, and none of numpy's arrays and numbers; importing torch is not needed for that."""
    return not isinstance(array, (np.ndarray, np.generic))


def namespace(array: Array) -> Any:
    """Return the functions for an array: numpy's own, or of another kind what `array_api_compat` makes of it.

    For arrays of numpy `array_api_compat` would import all of numpy, 20 MiB of it that nothing else needs.
    """
    return np if isinstance(array, np.ndarray) else array_namespace(array)


def softmax(logits: Array) -> Array:
    """Return the probabilities of logits along the last dimension, in float32; of a tensor by torch's own.

    Example:
        >>> softmax(np.array([[0.0, 0.0], [1e4, 0.0]]))
        array([[0.5, 0.5],
               [1. , 0. ]], dtype=float32)
    """
    if _is_tensor(logits):
        return logits.softmax(-1, dtype=namespace(logits).float32)
    raised: Any = np.exp(_below_largest(logits))
    return raised / raised.sum(-1, keepdims=True)


def log_softmax(logits: Array) -> Array:
    """Return the natural logarithms of `softmax`, in float32; of a tensor by torch's own.

    Example:
        >>> log_softmax(np.array([[0.0, 0.0], [1e4, 0.0]]))
        array([[-6.931472e-01, -6.931472e-01],
               [ 0.000000e+00, -1.000000e+04]], dtype=float32)
    """
    if _is_tensor(logits):
        return logits.log_softmax(-1, dtype=namespace(logits).float32)
    below: Any = _below_largest(logits)
    return below - np.log(np.exp(below).sum(-1, keepdims=True))


def _below_largest(logits: Any) -> NDArray[np.float32]:
    logits = np.asarray(logits, dtype=np.float32)
    below: NDArray[np.float32] = logits - logits.max(-1, keepdims=True)
    return below


def sigmoid(logits: Array) -> Array:
    """Return the probabilities of labels each for itself, from their logits; of a tensor by torch's own.

    Example:
        >>> sigmoid(np.array([0.0, 2.0, -1000.0]))
        array([0.5       , 0.88079708, 0.        ])
    """
    if _is_tensor(logits):
        return logits.sigmoid()
    return np.exp(-np.logaddexp(0, -np.asarray(logits)))


def absent_or_there(logits: Array) -> Array:
    """Return the logits of each label's being absent, which are 0, and of its being there, of shape [..., labels, 2].

    Example:
        >>> softmax(absent_or_there(np.array([0.0, 2.0])))
        array([[0.5       , 0.5       ],
               [0.11920292, 0.880797  ]], dtype=float32)
    """
    xp = namespace(logits)
    stacked: Array = xp.stack([xp.zeros_like(logits), logits], axis=-1)  # [..., labels, 2]
    return stacked


def scalar(value: float, like: Array) -> Array:
    """Return a number as an array of no dimensions in float32, of the kind of another and on its device.

    To divide by: dividing by a plain number, some devices multiply by its reciprocal, and the last bit would differ.
    """
    if _is_tensor(like):
        return like.new_full((), value, dtype=namespace(like).float32)
    return np.asarray(value, np.float32)


def host(array: Array) -> Any:
    """Return an array on the host as numpy's, for which a device is waited for; without a copy where it is there.

    Example:
        >>> host(np.ones(2))
        array([1., 1.])
    """
    return array.cpu().numpy() if _is_tensor(array) else array


def as_float32(array: Array) -> Array:
    """Return an array in float32, itself where it is."""
    return array.float() if _is_tensor(array) else np.asarray(array, np.float32)


def largest(array: Array) -> Array:
    """Return the largest number along the last dimension."""
    return array.amax(-1) if _is_tensor(array) else array.max(-1)


def least(array: Array) -> Array:
    """Return the least number along the last dimension."""
    return array.amin(-1) if _is_tensor(array) else array.min(-1)


def at_least(number: float, array: Array) -> Array:
    """Return an array with a number for what lies below it."""
    return array.clamp_min(number) if _is_tensor(array) else np.maximum(array, number)


def one_hot(places: Array, like: Array) -> Array:
    """Return 1 at some places [...] and 0 elsewhere, in float32, of the shape [..., classes] of another array.

    Example:
        >>> one_hot(np.array([1, 0]), np.zeros((2, 3)))
        array([[0., 1., 0.],
               [1., 0., 0.]], dtype=float32)
    """
    xp = namespace(like)
    return as_float32(places[..., None] == xp.arange(like.shape[-1], device=device(like)))
