"""One nursery of child processes for all tests of training."""

import pytest
import torch
from nursery import Nursery


@pytest.fixture(scope="package", autouse=True)
def _one_thread():
    """Tiny tensors: a second thread costs more than it brings, most of all on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def nursery(tmp_path_factory) -> Nursery:
    return Nursery(tmp_path_factory.mktemp("nursery"))
