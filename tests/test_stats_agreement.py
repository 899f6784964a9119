"""Agreement of two readers against scikit-learn, statsmodels, counting pixels and trying all pairings."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa

from microcalc.errors import StatisticsError
from microcalc.stats.agreement import Square, cohen_kappa, matched_squares, overlap


def words(seed: int, n: int = 200) -> tuple[list[str], list[str]]:
    random = np.random.default_rng(seed)
    first = random.choice(["benign", "high_risk", "dcis", "invasive"], n, p=[0.5, 0.1, 0.2, 0.2])
    second = np.where(random.random(n) < 0.7, first, random.choice(["benign", "dcis", "invasive"], n))
    return list(first), list(second)


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_scikit_learn_and_its_limits_those_of_statsmodels(seed: int):
    first, second = words(seed)
    kappa = cohen_kappa(first, second)
    assert kappa.value == pytest.approx(cohen_kappa_score(first, second), rel=1e-12)
    names = sorted({*first, *second})
    table = np.array(
        [[sum((a, b) == (x, y) for a, b in zip(first, second, strict=True)) for y in names] for x in names]
    )
    theirs = cohens_kappa(table)
    assert (kappa.low, kappa.high) == pytest.approx((theirs.kappa_low, theirs.kappa_upp), rel=1e-6)
    assert kappa.observed == pytest.approx(np.mean(np.array(first) == np.array(second)))


def test_kappa_is_one_where_all_agree_and_undefined_where_only_one_word_was_used():
    assert cohen_kappa(["a", "b", "a"], ["a", "b", "a"]).value == 1
    same = cohen_kappa(["a", "a"], ["a", "a"])
    assert np.isnan(same.value)
    assert same.reason == "both readers used one and the same word throughout"
    assert cohen_kappa([], []).reason == "no case was judged by both"


def test_kappa_refuses_readers_of_different_cases():
    with pytest.raises(StatisticsError, match="same cases; one has 1, the other 2"):
        cohen_kappa(["a"], ["a", "b"])


def test_overlap_is_what_counting_pixels_gives():
    random = np.random.default_rng(0)
    for _ in range(20):
        one, other = (Square(*random.integers(40, 80, 2), 2 * random.integers(5, 30)) for _ in range(2))
        grids = []
        for square in (one, other):
            grid = np.zeros((130, 130), bool)
            top, left, half = int(square.row), int(square.col), int(square.side // 2)
            grid[top - half : top + half, left - half : left + half] = True
            grids.append(grid)
        counted = (grids[0] & grids[1]).sum() / (grids[0] | grids[1]).sum()
        assert overlap(one, other) == pytest.approx(counted, abs=1e-12)


def test_squares_are_paired_as_the_best_of_all_pairings():
    random = np.random.default_rng(1)
    first = [Square(*random.uniform(0, 60, 2), 40) for _ in range(4)]
    second = [Square(*random.uniform(0, 60, 2), 40) for _ in range(5)]
    pairs = matched_squares(first, second)
    best = max(
        sum(overlap(a, second[j]) for a, j in zip(first, chosen, strict=True))
        for chosen in itertools.permutations(range(5), 4)
    )
    assert sum(value for _, _, value in pairs) == pytest.approx(best)
    assert len({i for i, _, _ in pairs}) == len({j for _, j, _ in pairs}) == len(pairs)


def test_squares_that_do_not_meet_are_no_pair():
    assert matched_squares([Square(0, 0, 10)], [Square(100, 100, 10)]) == []
    assert matched_squares([], [Square(0, 0, 10)]) == []


def test_a_square_without_a_side_is_refused():
    with pytest.raises(StatisticsError, match="side above 0"):
        Square(1, 1, 0)
