import json

import pytest
import torch
from factories import random_exits

from ee_lightning.errors import DataError, OptionError
from ee_lightning.exits import CRITERIA, Fitted, StoredExits, replay

FITTED = [name for name, criterion in CRITERIA.items() if issubclass(criterion, Fitted)]
each = pytest.mark.parametrize("name", FITTED)


def test_these_have_to_be_fitted():
    assert set(FITTED) == {
        *("calibrated_confidence", "learned_ensemble", "conformal"),
        *("scheduled_confidence", "eenet", "jei_dnn"),
    }


@each
def test_what_was_learnt_survives_json_to_the_last_bit(name):
    fitted, restored = CRITERIA[name](), CRITERIA[name]()
    fitted.fit(random_exits(3, 50, 4, seed=1))
    restored.restore(json.loads(json.dumps(fitted.fitted, allow_nan=False)))
    exits = random_exits(3, 20, 4)
    assert restored.fitted == fitted.fitted
    assert torch.equal(replay(restored, exits).scores, replay(fitted, exits).scores)
    assert torch.equal(replay(restored, exits).fallback, replay(fitted, exits).fallback)


@each
def test_judging_before_fitting_is_refused(name):
    with pytest.raises(OptionError, match=rf"(?s){name} has parameters.*calibration split, held out"):
        replay(CRITERIA[name](), random_exits(2, 3, 2))
    with pytest.raises(OptionError, match="not fitted yet"):
        _ = CRITERIA[name]().fitted


@each
@pytest.mark.parametrize(("num_exits", "num_classes"), [(4, 2), (3, 3)])
def test_exits_of_another_model_are_refused(name, num_exits, num_classes):
    criterion = CRITERIA[name]()
    criterion.fit(random_exits(3, 5, 2))
    with pytest.raises(OptionError, match=rf"fitted on 3 exits of 2 classes, and these are {num_exits} exits of"):
        replay(criterion, random_exits(num_exits, 3, num_classes))


@pytest.mark.parametrize(("name", "cut"), [("scheduled_confidence", "budgets"), ("eenet", "biases")])
def test_parameters_that_do_not_fit_each_other_are_refused(name, cut):
    fitted, restored = CRITERIA[name](), CRITERIA[name]()
    fitted.fit(random_exits(3, 50, 2))
    with pytest.raises(OptionError, match=rf"{name} can't have learnt this: \w+ has the shape"):
        restored.restore(fitted.fitted | {cut: fitted.fitted[cut][:1]})


@each
def test_fitting_again_forgets(name):
    once, twice = CRITERIA[name](), CRITERIA[name]()
    twice.fit(random_exits(2, 30, 3, seed=1))
    for criterion in (once, twice):
        criterion.fit(random_exits(3, 30, 2, seed=2))
    assert once.fitted == twice.fitted


@each
@pytest.mark.parametrize("kind", ["continuous", "tied", "equal"])
@pytest.mark.parametrize(("num_exits", "num_samples"), [(1, 1), (1, 5), (3, 1), (12, 4)])
def test_few_samples_and_equal_logits_give_scores(name, kind, num_exits, num_samples):
    criterion = CRITERIA[name]()
    criterion.fit(random_exits(num_exits, num_samples, 2, kind=kind))
    assert replay(criterion, random_exits(num_exits, 6, 2, seed=1)).scores.isfinite().all()


@pytest.mark.parametrize("name", [name for name in FITTED if name != "conformal"])
def test_labels_are_needed_to_fit_probabilities(name):
    exits = random_exits(2, 3, 2)
    with pytest.raises(DataError, match="Labels are needed"):
        CRITERIA[name]().fit(StoredExits(exits.logits, None, exits.ids))


@each
def test_fitting_works_where_gradients_are_off(name):
    with torch.inference_mode():
        criterion = CRITERIA[name]()
        criterion.fit(random_exits(2, 9, 3))
    assert replay(criterion, random_exits(2, 9, 3)).scores.isfinite().all()
