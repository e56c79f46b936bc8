"""Distances between sets equal closed forms, independent implementations and their definitions by loops."""

import numpy as np
import pytest
import torch

from workbench.errors import InputError
from workbench.metrics import distribution
from workbench.metrics.distribution import Moments, frechet_distance, kernel_distance, manifold_scores

RNG = np.random.default_rng(0)


def cloud(count, dimension=6, shift=0.0, spread=1.0):
    mix = np.random.default_rng(dimension).normal(size=(dimension, dimension))
    return RNG.normal(size=(count, dimension)) @ mix * spread + shift


def exactly(mean, covariance):
    """Moments set by hand."""
    moments = Moments(len(mean))
    moments.count, moments.mean = 2, np.asarray(mean, float)
    moments._scatter = np.asarray(covariance, float)
    return moments


class TestMoments:
    def test_streaming_equals_numpy(self):
        features = cloud(100)
        moments = Moments(6)
        for part in np.split(features, [1, 2, 40, 40, 99]):
            moments.update(part)
        assert moments.count == 100
        assert np.allclose(moments.mean, features.mean(axis=0))
        assert np.allclose(moments.covariance, np.cov(features.T))

    def test_merging_equals_one_stream(self):
        one, two = cloud(30), cloud(50, shift=9)
        left, right = Moments.of(one), Moments.of(two)
        left.merge(right)
        left.merge(Moments(6))
        both = np.concatenate([one, two])
        assert left.count == 80
        assert np.allclose(left.mean, both.mean(axis=0))
        assert np.allclose(left.covariance, np.cov(both.T))

    def test_a_large_mean_does_not_cancel(self):
        features = cloud(200)
        far = Moments(6)
        for part in np.split(features + 1e7, 8):
            far.update(part)
        assert np.allclose(far.covariance, np.cov(features.T), rtol=1e-6)

    def test_tensors_of_low_precision_are_taken(self):
        features = torch.randn(10, 4, generator=torch.Generator().manual_seed(0)).half()
        assert np.allclose(Moments.of(features).covariance, np.cov(features.double().numpy().T))

    def test_wrong_features_are_refused_and_not_taken_in(self):
        moments = Moments.of(cloud(5))
        bad = cloud(3)
        bad[1, 2] = np.nan
        for features, words in ((bad, "picture 1"), (cloud(3, 5), "vectors of 6"), (np.zeros(6), "shape")):
            with pytest.raises(InputError, match=words):
                moments.update(features)
        assert moments.count == 5
        with pytest.raises(InputError, match="cannot merge"):
            moments.merge(Moments(5))
        with pytest.raises(InputError, match="at least 2 pictures, got 1"):
            _ = Moments.of(cloud(1)).covariance
        with pytest.raises(InputError, match="at least 1 number"):
            Moments(0)


class TestFrechet:
    def test_a_shift_costs_its_square(self):
        covariance = np.cov(cloud(50).T)
        x, y = exactly(np.zeros(6), covariance), exactly(np.arange(6), covariance)
        assert frechet_distance(x, y) == pytest.approx((np.arange(6) ** 2).sum())
        assert frechet_distance(x, x) == pytest.approx(0, abs=1e-10)

    def test_axes_that_agree_have_a_closed_form(self):
        a, b = np.array([1.0, 4.0, 0.0]), np.array([9.0, 1.0, 2.0])
        x, y = exactly(np.zeros(3), np.diag(a)), exactly(np.zeros(3), np.diag(b))
        assert frechet_distance(x, y) == pytest.approx(((np.sqrt(a) - np.sqrt(b)) ** 2).sum())

    def test_turned_axes_have_a_closed_form(self):
        # Rank one against rank one: only |u·v| of the overlap is left.
        for angle in (0.0, 0.4, np.pi / 2):
            u, v = np.array([1.0, 0.0]), np.array([np.cos(angle), np.sin(angle)])
            x, y = exactly(np.zeros(2), np.outer(u, u)), exactly(np.zeros(2), np.outer(v, v))
            assert frechet_distance(x, y) == pytest.approx(2 - 2 * abs(np.cos(angle)), abs=1e-7)

    def test_it_equals_the_matrix_root_of_scipy(self):
        from scipy.linalg import sqrtm

        for dimension in (2, 6, 40):
            x, y = Moments.of(cloud(300, dimension)), Moments.of(cloud(200, dimension, shift=0.3, spread=1.4))
            root = sqrtm(x.covariance @ y.covariance).real
            expected = ((x.mean - y.mean) ** 2).sum() + np.trace(x.covariance + y.covariance - 2 * root)
            assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)

    def test_it_is_symmetric_and_invariant_to_turns(self):
        one, two = cloud(100), cloud(80, shift=1)
        turn, _ = np.linalg.qr(RNG.normal(size=(6, 6)))
        distance = frechet_distance(Moments.of(one), Moments.of(two))
        assert frechet_distance(Moments.of(two), Moments.of(one)) == pytest.approx(distance)
        assert frechet_distance(Moments.of(one @ turn), Moments.of(two @ turn)) == pytest.approx(distance)

    def test_fewer_pictures_than_features_are_enough(self):
        x = Moments.of(cloud(5, 40))
        assert frechet_distance(x, x) == pytest.approx(0, abs=1e-6)
        assert frechet_distance(x, Moments.of(cloud(4, 40))) > 0

    def test_features_of_different_length_are_refused(self):
        with pytest.raises(InputError, match="cannot be compared"):
            frechet_distance(Moments.of(cloud(5, 2)), Moments.of(cloud(5, 3)))


class TestKernel:
    @staticmethod
    def slow(x, y):
        def k(a, b):
            return (a @ b / len(a) + 1) ** 3

        within = [sum(k(a, b) for i, a in enumerate(s) for j, b in enumerate(s) if i != j) for s in (x, y)]
        across = sum(k(a, b) for a in x for b in y)
        n, m = len(x), len(y)
        return within[0] / (n * (n - 1)) + within[1] / (m * (m - 1)) - 2 * across / (n * m)

    def test_it_equals_the_definition(self, monkeypatch):
        x, y = cloud(13), cloud(9, shift=0.2)
        expected = self.slow(x, y)
        for rows in (1, 4, 512):
            monkeypatch.setattr(distribution, "_ROWS", rows)
            assert kernel_distance(x, y) == pytest.approx(expected)
        assert kernel_distance(y, x) == pytest.approx(expected)

    def test_it_is_unbiased_where_sets_agree(self):
        found = [kernel_distance(RNG.normal(size=(20, 3)), RNG.normal(size=(20, 3))) for _ in range(400)]
        assert abs(np.mean(found)) < 4 * np.std(found) / 20
        assert min(found) < 0

    def test_the_same_array_twice_is_two_sets(self):
        x = cloud(10)
        assert kernel_distance(x, x) == pytest.approx(kernel_distance(x, x.copy()))

    def test_a_shift_of_means_has_a_closed_form_in_one_dimension(self):
        # One-point-like sets at 0 and at t: (t² + 1)³ + 1 - 2.
        x, y = np.zeros((5, 1)), np.full((4, 1), 2.0)
        assert kernel_distance(x, y) == pytest.approx(5**3 + 1 - 2)


class TestManifold:
    @staticmethod
    def slow(real, made, k):
        def reach(points):
            gaps = [sorted(np.linalg.norm(p - q) for j, q in enumerate(points) if j != i) for i, p in enumerate(points)]
            return [g[k - 1] for g in gaps]

        def inside(points, centres, radii):
            return np.array([[np.linalg.norm(p - c) <= r for c, r in zip(centres, radii, strict=True)] for p in points])

        balls = inside(made, real, reach(real))
        return (
            balls.any(axis=1).mean(),
            inside(real, made, reach(made)).any(axis=1).mean(),
            balls.sum() / (k * len(made)),
            balls.any(axis=0).mean(),
        )

    @pytest.mark.parametrize("neighbours", [1, 3, 5])
    def test_it_equals_the_definition(self, neighbours, monkeypatch):
        real, made = cloud(25), cloud(18, shift=0.7)
        expected = self.slow(real, made, neighbours)
        for rows in (1, 7, 512):
            monkeypatch.setattr(distribution, "_ROWS", rows)
            scores = manifold_scores(real, made, neighbours=neighbours)
            assert (scores.precision, scores.recall, scores.density, scores.coverage) == pytest.approx(expected)

    def test_sets_far_apart_share_nothing(self):
        scores = manifold_scores(cloud(20), cloud(20, shift=1e4))
        assert (scores.precision, scores.recall, scores.density, scores.coverage) == (0, 0, 0, 0)

    def test_a_part_has_precision_and_lacks_recall(self):
        # Two islands; the second set lives on one of them only.
        islands = np.concatenate([RNG.normal(size=(100, 2)), RNG.normal(size=(100, 2)) + 100])
        scores = manifold_scores(islands, RNG.normal(size=(100, 2)), neighbours=5)
        assert scores.precision > 0.9
        assert 0.4 < scores.recall < 0.55
        assert 0.4 < scores.coverage < 0.51
        turned = manifold_scores(RNG.normal(size=(100, 2)), islands, neighbours=5)
        assert turned.recall > 0.9
        assert turned.precision < 0.55

    def test_like_sets_have_density_one(self):
        scores = manifold_scores(RNG.normal(size=(600, 2)), RNG.normal(size=(600, 2)), neighbours=5)
        assert scores.density == pytest.approx(1, abs=0.1)
        assert scores.coverage > 0.9

    def test_copies_are_neighbours(self):
        scores = manifold_scores(np.zeros((6, 2)), np.zeros((5, 2)))
        assert (scores.precision, scores.recall, scores.coverage) == (1, 1, 1)

    def test_too_few_pictures_are_refused(self):
        with pytest.raises(InputError, match="3 neighbours need sets of more pictures"):
            manifold_scores(cloud(9), cloud(3))
        with pytest.raises(InputError, match="two sets"):
            manifold_scores(cloud(9), cloud(9, 5))
