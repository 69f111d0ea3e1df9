import pyarrow as pa
from datasets import Dataset
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ee_lightning.data.tokenised import tell_overlap

HASHES = st.lists(st.sampled_from([0, 1, 5, 2**63, 2**64 - 2, 2**64 - 1]), min_size=1, max_size=12)


def rows(hashes, size):
    parts = [hashes[start : start + size] for start in range(0, len(hashes), size)]
    return Dataset(pa.table({"text_hash": pa.chunked_array(parts, pa.uint64())}), fingerprint="any")


@given(train=HASHES, validation=HASHES, size=st.integers(1, 5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_every_validation_row_that_was_seen_is_counted(train, validation, size, caplog):
    caplog.clear()
    tell_overlap(rows(train, size), rows(validation, size), "validation")
    seen = sum(each in train for each in validation)
    told = [record.getMessage().partition(" have ")[0] for record in caplog.records]
    assert told == ([f"{seen} of {len(validation)} validation rows"] if seen else [])
