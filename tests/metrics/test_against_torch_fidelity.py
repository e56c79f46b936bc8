"""The mathematics of sets equals that of torch-fidelity, which published numbers are made with; Inception too."""

import hashlib

import numpy as np
import pytest
import torch

from workbench.errors import InputError, ModelError
from workbench.metrics import inception
from workbench.metrics.distribution import Moments, class_score, frechet_distance, kernel_distance, manifold_scores
from workbench.metrics.inception import load_inception

pytest.importorskip("torch_fidelity")


def clouds(count=150, others=150, dimension=10):
    luck = np.random.default_rng(3)
    mix = luck.normal(size=(dimension, dimension))
    return luck.normal(size=(count, dimension)) @ mix, luck.normal(size=(others, dimension)) @ mix * 0.8 + 0.7


def test_frechet():
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    x, y = clouds()
    statistics = [fid_features_to_statistics(torch.from_numpy(each)) for each in (x, y)]
    (expected,) = fid_statistics_to_metric(*statistics, verbose=False).values()
    assert frechet_distance(Moments.of(x), Moments.of(y)) == pytest.approx(expected, rel=1e-8)


def test_kernel():
    from torch_fidelity.metric_kid import kid_features_to_metric

    x, y = clouds()
    settings = {"kid_subsets": 1, "kid_subset_size": len(x), "kid_kernel": "poly", "verbose": False}
    found = kid_features_to_metric(torch.from_numpy(x), torch.from_numpy(y), **settings)
    assert kernel_distance(x, y) == pytest.approx(found["kernel_inception_distance_mean"], rel=1e-6)


def test_precision_and_recall():
    from torch_fidelity.metric_prc import calculate_precision_recall_full

    real, made = clouds(130, 90)
    precision, recall = calculate_precision_recall_full(torch.from_numpy(made), torch.from_numpy(real), 3)
    scores = manifold_scores(real, made, neighbours=3)
    assert 0 < precision < 1
    assert 0 < recall < 1
    assert (scores.precision, scores.recall) == pytest.approx((precision, recall))


@pytest.mark.parametrize("splits", [1, 7, 10])
def test_class_score(splits):
    from torch_fidelity.metric_isc import isc_features_to_metric

    scores = torch.randn(205, 12, generator=torch.Generator().manual_seed(0)) * 3
    expected = isc_features_to_metric(scores, splits=splits, shuffle=False)
    assert class_score(scores, splits=splits) == pytest.approx(tuple(expected.values()), rel=1e-6)


def test_class_score_has_its_ends():
    sure = np.full((40, 4), -1e3)
    sure[np.arange(40), np.arange(40) % 4] = 1e3
    assert class_score(sure, splits=2) == pytest.approx((4, 0))
    assert class_score(np.zeros((40, 4)), splits=2) == pytest.approx((1, 0))
    with pytest.raises(InputError, match="40 pictures cannot be taken in 41 parts"):
        class_score(sure, splits=41)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Inception with random weights, in a file."""
    from safetensors.torch import save_file
    from torch_fidelity import feature_extractor_inceptionv3 as published

    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        torch.manual_seed(0)
        patch.setattr(published, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(published.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        network = published.FeatureExtractorInceptionV3("random", ["2048"])
    path = tmp_path_factory.mktemp("inception") / "random.safetensors"
    save_file(network.state_dict(), path)
    return path


@pytest.mark.slow
def test_inception_is_that_of_torch_fidelity(weights):
    ours = load_inception(weights)
    levels = torch.randint(0, 256, (2, 3, 40, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    vectors = ours.embed(levels.float() / 255)
    ours.extractor.features_list = ["2048", "logits_unbiased"]
    expected, scores = ours.extractor(levels)
    assert torch.equal(vectors, expected)
    assert torch.allclose(vectors @ ours.readout.T, scores, rtol=1e-4, atol=1e-5)


def test_only_the_published_inception_is_unpickled(tmp_path, monkeypatch):
    path = tmp_path / inception.INCEPTION_FILE
    with pytest.raises(ModelError, match="--download"):
        load_inception(path)
    path.write_bytes(b"a pickle that would do harm")
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was unpickled"))
    with pytest.raises(ModelError, match=hashlib.sha256(path.read_bytes()).hexdigest()[:8]):
        load_inception(path)
