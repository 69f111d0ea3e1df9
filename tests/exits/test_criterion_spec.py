"""Criteria made anew from what a file holds."""

import pytest
import torch
from factories import stored

import ee_lightning.exits
from ee_lightning.errors import OptionError
from ee_lightning.exits import Decision, Voting
from ee_lightning.exits.fitted import Fitted
from ee_lightning.exits.naming import CriterionSpec


class Scaled(Fitted):
    """Scores the largest logit by a factor that it learns."""

    name = "scaled"

    def estimate(self, exits):
        return {"factor": 1 / exits.logits.abs().amax()}

    def step(self, output, state):
        return Decision(output.logits.amax(-1) * self.parameters(output)["factor"], output.predictions), state


def test_options_are_handed_on():
    criterion = CriterionSpec("ee_lightning.exits.Voting", {"k": 1.0, "fallback": "majority"}).build()
    assert isinstance(criterion, Voting)
    assert criterion.name == Voting(k=1.0, fallback="majority").name


def test_what_was_fitted_is_restored(monkeypatch):
    monkeypatch.setattr(ee_lightning.exits, "Scaled", Scaled, raising=False)
    logits = torch.randn(3, 10, 2, generator=torch.Generator().manual_seed(0))
    exits = stored(logits)
    criterion = Scaled()
    criterion.fit(exits)
    again = CriterionSpec("ee_lightning.exits.Scaled", fitted=criterion.fitted).build()
    scores = [made.step(exits.output(1), {})[0].score for made in (criterion, again)]
    assert torch.equal(*scores)


@pytest.mark.parametrize("class_path", ["voting", "", "no.such.Thing", "ee_lightning.exits.Nothing", "pathlib.Path"])
def test_what_is_no_criterion_is_refused(class_path):
    with pytest.raises(OptionError, match=f"there is no criterion {class_path}: "):
        CriterionSpec(class_path).build()


def test_options_it_does_not_have_are_refused():
    with pytest.raises(OptionError, match=r"Voting got patience=3[\s\S]*Voting\(k: float = 0.75, "):
        CriterionSpec("ee_lightning.exits.Voting", {"patience": 3}).build()
