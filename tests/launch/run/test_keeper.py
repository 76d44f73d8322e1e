"""The copy of the newest state."""

from launch.run.keeper import Keeper


def test_copies_take_no_more_than_their_share_of_the_time():
    now, copies = [0.0], []

    def copy():
        now[0] += 2.0  # what a copy costs
        copies.append(now[0])
        return len(copies)

    keeper = Keeper(share=0.01, clock=lambda: now[0])
    while now[0] < 10_000:
        keeper.offer(copy)
        now[0] += 1.0
    assert 0.9 * 10_000 * 0.01 <= 2.0 * len(copies) <= 10_000 * 0.01 + 2.0
    assert keeper.newest == len(copies)


def test_a_copy_that_costs_nothing_is_always_taken():
    keeper = Keeper(clock=lambda: 5.0)
    for value in range(3):
        keeper.offer(lambda value=value: value)
        assert keeper.newest == value


def test_a_state_that_is_there_anyway_is_kept_without_asking():
    keeper = Keeper()
    assert keeper.newest is None
    keeper.keep("state")
    assert keeper.newest == "state"
