import math

import numpy as np
import pytest
from scipy import special, stats

from microcalc.errors import StatisticsError
from microcalc.stats.distributions import (
    beta_quantile,
    chi2_tail,
    expit,
    logit,
    normal_cdf,
    two_sided_p,
    two_sided_quantile,
)


@pytest.mark.parametrize("z", [-37.0, -8.0, -1.96, -0.1, 0.0, 0.3, 2.5, 9.0])
def test_the_normal_tail_agrees_with_scipy(z):
    assert normal_cdf(z) == pytest.approx(stats.norm.cdf(z), rel=1e-13)
    assert two_sided_p(z) == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-13)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.99, 0.999])
def test_the_normal_quantile_agrees_with_scipy(confidence):
    assert two_sided_quantile(confidence) == pytest.approx(stats.norm.ppf(0.5 + confidence / 2), rel=1e-14)


@pytest.mark.parametrize("df", [1, 2, 3, 4, 5, 10, 35])
@pytest.mark.parametrize("value", [0.0, 1e-9, 0.5, 3.84, 21.5, 60.0, 400.0])
def test_the_tail_of_chi_square_agrees_with_scipy(value, df):
    assert chi2_tail(value, df) == pytest.approx(stats.chi2.sf(value, df), rel=1e-12)


@pytest.mark.parametrize(("a", "b"), [(1, 1), (1, 97), (73, 25), (131, 33), (5000, 3), (400_000, 600_000)])
@pytest.mark.parametrize("p", [0.005, 0.025, 0.5, 0.975])
def test_the_beta_quantile_agrees_with_scipy(p, a, b):
    assert beta_quantile(p, a, b) == pytest.approx(special.betaincinv(a, b, p), rel=1e-9)


def test_undefined_stays_undefined():
    assert math.isnan(chi2_tail(math.nan, 3))
    assert math.isnan(normal_cdf(math.nan))


def test_logits_and_back():
    x = np.array([-800.0, -30.0, -1.0, 0.0, 2.0, 800.0])
    np.testing.assert_allclose(expit(x), special.expit(x), rtol=1e-15)
    np.testing.assert_allclose(logit([1e-6, 0.3, 0.9]), special.logit([1e-6, 0.3, 0.9]), rtol=1e-14)


def test_beta_parameters_below_one_are_refused():
    with pytest.raises(StatisticsError, match="a beta quantile needs a, b >= 1"):
        beta_quantile(0.5, 0.5, 2)
