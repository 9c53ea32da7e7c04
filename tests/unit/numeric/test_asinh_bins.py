import numpy as np
import pytest

from agent.numeric.asinh_bins import COARSE_BINS, EDGES, half_bins

EDGE_ARRAY = np.array(EDGES)


def searched(x):
    return EDGE_ARRAY.searchsorted(x, side="right")


@pytest.mark.parametrize("towards", [-np.inf, 0.0, np.inf])
def test_a_number_beside_an_edge_is_on_its_side_of_it(towards):
    beside = np.nextafter(EDGE_ARRAY, towards)
    assert np.array_equal(half_bins(beside), searched(beside))
    assert np.array_equal(half_bins(EDGE_ARRAY), np.arange(1, len(EDGES) + 1))


def test_any_number_is_where_a_search_finds_it():
    rng = np.random.default_rng(0)
    numbers = rng.standard_cauchy(100_000) * 10.0 ** rng.uniform(-12, 8, 100_000)
    extremes = np.array([0.0, -0.0, 5e-324, -5e-324, 1e308, -1e308])
    assert np.array_equal(half_bins(numbers), searched(numbers))
    assert np.array_equal(half_bins(extremes), searched(extremes))


def test_both_ends_of_every_cell_of_the_table_are_where_a_search_finds_them():
    first = np.arange(1 << 16, dtype=np.uint64) << np.uint64(48)
    for cell in (first, first | np.uint64((1 << 48) - 1)):
        numbers = cell.view(np.float64)
        finite = numbers[np.isfinite(numbers)]
        assert np.array_equal(half_bins(finite), searched(finite))


def test_coarse_bins_hold_eight_half_bins_each_and_the_tails():
    counts = np.bincount(COARSE_BINS)
    assert counts[1:-1].tolist() == [8] * 14
    assert counts.sum() == len(EDGES) + 1
