from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data.distributed import DistributedSampler

from ee_lightning.data.encoding import LengthBucketedBatches

LENGTHS = st.builds(
    lambda count, seed: np.random.default_rng(seed).integers(1, 61, size=count).tolist(),
    st.integers(1, 300),
    st.integers(0, 2**32 - 1),
)
SIZES = st.integers(1, 9)
EPOCHS = st.integers(0, 5)


def batches_of_every_rank(lengths, batch_size, *, world_size, shuffle, seed=0, epoch=0):
    samplers = [
        LengthBucketedBatches(lengths, batch_size, shuffle=shuffle, seed=seed, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    return samplers, [list(sampler) for sampler in samplers]


@given(
    lengths=LENGTHS,
    batch_size=SIZES,
    shuffle=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
    epoch=EPOCHS,
    world_size=st.integers(1, 5),
)
def test_processes_share_all_rows_in_equally_many_batches(lengths, batch_size, shuffle, seed, epoch, world_size):
    options = {"world_size": world_size, "shuffle": shuffle, "seed": seed, "epoch": epoch}
    samplers, shares = batches_of_every_rank(lengths, batch_size, **options)
    assert batches_of_every_rank(lengths, batch_size, **options)[1] == shares
    assert {len(share) for share in shares} == {len(sampler) for sampler in samplers} == {len(samplers[0])}
    assert all(1 <= len(batch) <= batch_size for share in shares for batch in share)
    assert sorted(map(len, shares[0]))[1:] == [batch_size] * (len(samplers[0]) - 1)
    seen = Counter(row for share in shares for batch in share for row in batch)
    assert set(seen) == set(range(len(lengths)))
    missing_in_last = world_size - len(lengths) % (batch_size * world_size)
    assert seen.total() == len(lengths) + (missing_in_last if 0 < missing_in_last < world_size else 0)
    if not shuffle:
        complete = shares[0][: len(lengths) // samplers[0].global_batch_size]
        order = [lengths[row] for batch in complete for row in batch]
        assert order == sorted(order, reverse=True)
        assert lengths[shares[0][0][0]] == max(lengths)


def test_epochs_and_seeds_differ():
    orders = {
        (seed, epoch): str(batches_of_every_rank([5] * 64, 8, world_size=1, shuffle=True, seed=seed, epoch=epoch)[1])
        for seed in range(4)
        for epoch in range(4)
    }
    assert len(set(orders.values())) == 16


@given(
    lengths=LENGTHS,
    batch_size=SIZES,
    world_size=st.integers(1, 3),
    limit=st.one_of(st.integers(1, 40), st.floats(0.05, 1.0)),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_limited_evaluation_has_rows_drawn_by_the_seed_longest_first(lengths, batch_size, world_size, limit, seed):
    options = {"shuffle": False, "seed": seed, "limit": limit, "world_size": world_size}
    samplers = [LengthBucketedBatches(lengths, batch_size, rank=rank, **options) for rank in range(world_size)]
    whole = -(-len(lengths) // (batch_size * world_size))
    used = min(limit, whole) if isinstance(limit, int) else int(whole * limit)
    drawn = np.random.default_rng(seed).permutation(len(lengths))[: used * batch_size * world_size]
    assert {sampler.num_used for sampler in samplers} == {used}
    assert {sampler.num_drawn for sampler in samplers} == {len(drawn)}
    shares = [list(sampler) for sampler in samplers]
    assert {row for share in shares for batch in share[:used] for row in batch} == set(drawn.tolist())
    assert {row for share in shares for batch in share for row in batch} == set(range(len(lengths)))
    order = [lengths[row] for batch in shares[0][: used if used < whole else used - 1] for row in batch]
    assert order == sorted(order, reverse=True)


@given(lengths=LENGTHS, batch_size=SIZES, seed=st.integers(0, 2**32 - 1))
def test_two_processes_and_smaller_limits_draw_the_same_rows(lengths, batch_size, seed):
    def drawn(limit, size, world_size):
        options = {"shuffle": False, "seed": seed, "limit": limit, "world_size": world_size}
        ranks = [LengthBucketedBatches(lengths, size, rank=rank, **options) for rank in range(world_size)]
        return {row for sampler in ranks for batch in list(sampler)[: sampler.num_used] for row in batch}

    assert drawn(2, batch_size, 2) == drawn(2, 2 * batch_size, 1)
    assert drawn(1, batch_size, 1) <= drawn(2, batch_size, 1) <= drawn(5, batch_size, 1)


def padded_tokens(lengths, batches):
    return sum(len(batch) * lengths[batch].max() for batch in batches)


@pytest.mark.parametrize("world_size", [1, 2])
def test_training_batches_hold_rows_of_similar_length(world_size):
    lengths = np.random.default_rng(0).integers(3, 64, size=8_000)
    _, shares = batches_of_every_rank(lengths, 16, world_size=world_size, shuffle=True)
    assert sum(padded_tokens(lengths, share) for share in shares) < 1.05 * lengths.sum()


def test_training_batches_come_in_no_order_of_length():
    lengths = np.arange(1, 801)
    [batches] = batches_of_every_rank(lengths, 16, world_size=1, shuffle=True)[1]
    means = [lengths[batch].mean() for batch in batches]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.3


def test_rows_change_their_company_from_epoch_to_epoch():
    lengths = np.full(200, 7)
    epochs = [
        {frozenset(batch) for batch in batches_of_every_rank(lengths, 4, world_size=1, shuffle=True, epoch=epoch)[1][0]}
        for epoch in range(2)
    ]
    assert len(epochs[0] & epochs[1]) < 5


def test_lightning_takes_it_for_a_sampler_that_shares_out_rows_itself():
    assert isinstance(LengthBucketedBatches([1, 2], 1, shuffle=False), DistributedSampler)


@pytest.mark.parametrize("rank", [-1, 2])
def test_a_rank_outside_the_world_is_refused(rank):
    with pytest.raises(ValueError, match="Invalid rank"):
        LengthBucketedBatches([1, 2], 1, shuffle=True, rank=rank, world_size=2)


@given(lengths=LENGTHS, batch_size=SIZES, world_size=st.integers(1, 3), epoch=EPOCHS, done=st.integers(0, 20))
def test_an_epoch_that_goes_on_leaves_out_what_is_done_and_the_next_is_whole(
    lengths, batch_size, world_size, epoch, done
):
    options = {"world_size": world_size, "shuffle": True}
    for rank in range(world_size):
        sampler = LengthBucketedBatches(lengths, batch_size, rank=rank, **options)
        sampler.go_on(epoch, done)
        assert len(sampler) == -(-len(lengths) // (batch_size * world_size))
        whole = batches_of_every_rank(lengths, batch_size, epoch=epoch, **options)[1][rank]
        assert list(sampler) == whole[done:]
        sampler.set_epoch(epoch + 1)
        assert list(sampler) == batches_of_every_rank(lengths, batch_size, epoch=epoch + 1, **options)[1][rank]
