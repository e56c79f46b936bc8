"""The probe is the one minimum of its formula: scikit-learn finds the same, and units of features do not matter."""

import numpy as np
import pytest

from workbench.errors import InputError
from workbench.metrics.probe import LinearProbe


def blobs(count=120, classes=3, dimension=4):
    luck = np.random.default_rng(0)
    labels = luck.integers(classes, size=count)
    return luck.normal(size=(classes, dimension))[labels] * 1.5 + luck.normal(size=(count, dimension)), labels


def test_it_is_the_minimum_that_scikit_learn_finds():
    from sklearn.linear_model import LogisticRegression

    x, y = blobs()
    x = (x - x.mean(0)) / x.std(0)
    ours = LinearProbe.fit(x, y, classes=3, penalty=0.01)
    theirs = LogisticRegression(C=1 / (0.01 * len(x)), tol=1e-10, max_iter=10_000).fit(x, y)
    assert np.allclose(ours.weight, theirs.coef_, atol=1e-4)
    assert np.allclose(ours.bias - ours.bias.mean(), theirs.intercept_ - theirs.intercept_.mean(), atol=1e-4)
    assert np.array_equal(ours.predict(x), theirs.predict(x))


def test_units_and_constant_features_do_not_matter():
    x, y = blobs()
    plain = LinearProbe.fit(x, y, classes=4)  # the last class has no picture
    turned = LinearProbe.fit(np.column_stack([x * [1, 1e3, 1e-3, 7] + 5, np.ones(len(x))]), y, classes=4)
    assert np.array_equal(
        plain.predict(x), turned.predict(np.column_stack([x * [1, 1e3, 1e-3, 7] + 5, np.ones(len(x))]))
    )
    assert 3 not in plain.predict(x)
    assert (plain.predict(x) == y).mean() > 0.7


def test_what_does_not_fit_is_refused():
    x, y = blobs()
    for features, labels, words in ((x, y[:-1], "a class for each"), (x, y - 1, "needs a class"), (x, y + 1, "to 3")):
        with pytest.raises(InputError, match=words):
            LinearProbe.fit(features, labels, classes=3)
