"""The projection to the sphere and the gradient estimators."""

import pytest
import torch

from workbench.quantizers.estimators import rotation, straight_through
from workbench.quantizers.sphere import unit


def rows(count=50, dimension=6, seed=0):
    return torch.randn(count, dimension, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_unit_is_normalisation_with_the_right_gradient():
    z = rows(8).requires_grad_()
    torch.testing.assert_close(unit(z).norm(dim=1), torch.ones(8, dtype=torch.float64))
    assert torch.autograd.gradcheck(unit, z)


def test_unit_at_zero_and_at_the_ends_of_the_range():
    z = torch.tensor([[0.0, 0.0], [3e38, -3e38], [1e-25, 0.0], [-0.0, 0.0]], requires_grad=True)
    out = unit(z)
    torch.testing.assert_close(out[1], torch.tensor([0.5**0.5, -(0.5**0.5)]))
    assert out[0].tolist() == [0, 0]
    out.sum().backward()
    assert z.grad.isfinite().all()
    assert z.grad[0].tolist() == [1, 1]


@pytest.mark.parametrize("estimator", [straight_through, rotation])
def test_estimators_answer_the_codeword_to_the_last_bit(estimator):
    point, codes = rows().float(), rows(seed=1).float()
    assert torch.equal(estimator(point, codes), codes)
    for awkward in (torch.zeros_like(point), -codes, codes.clone()):
        awkward.requires_grad_()
        value = estimator(awkward, codes)
        assert torch.equal(value, codes)
        value.sum().backward()
        assert awkward.grad.isfinite().all()


def test_straight_through_has_the_identity_as_gradient():
    point, codes, upstream = rows().requires_grad_(), rows(seed=1).requires_grad_(), rows(seed=2)
    (straight_through(point, codes) * upstream).sum().backward()
    assert torch.equal(point.grad, upstream)
    assert codes.grad is None


def test_rotation_turns_the_gradient_as_it_turns_the_point():
    point, codes, upstream = rows().requires_grad_(), rows(seed=1), rows(seed=2)
    (rotation(point, codes) * upstream).sum().backward()
    stretch = codes.norm(dim=1) / point.norm(dim=1)
    # The gradient is stretch · Rᵀ · upstream: lengths scale, and its angle to the point is upstream's to the codeword.
    torch.testing.assert_close(point.grad.norm(dim=1), stretch * upstream.norm(dim=1))
    cosines = torch.cosine_similarity(point.grad, point.detach()), torch.cosine_similarity(upstream, codes)
    torch.testing.assert_close(*cosines)
