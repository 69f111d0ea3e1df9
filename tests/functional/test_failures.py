"""Failure prediction beside a naive count of pairs."""

import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_lightning.functional import aurocs, leaving_is_right


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 2**32), exits=st.integers(1, 4), samples=st.integers(1, 12))
def test_aurocs_and_targets_are_those_of_counting(seed, exits, samples):
    generator = torch.Generator().manual_seed(seed)
    right = torch.rand(exits, samples, generator=generator) < 0.5
    scores = torch.randint(4, (exits, samples), generator=generator) / 4
    scores[torch.rand(exits, samples, generator=generator) < 0.2] = -torch.inf  # never leaves
    target = leaving_is_right(right)
    for m in range(exits):
        expected = [bool(right[m, i]) or not right[m + 1 :, i].any() for i in range(samples)]
        assert target[m].tolist() == expected
        pairs = [
            1.0 if a > b else 0.5 if a == b else 0.0
            for a, holds in zip(scores[m].tolist(), expected, strict=True)
            for b, also in zip(scores[m].tolist(), expected, strict=True)
            if holds and not also
        ]
        found = aurocs(scores, target)[m]
        assert math.isnan(found) if not pairs else math.isclose(found, sum(pairs) / len(pairs))
