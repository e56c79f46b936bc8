"""A Golay code cut into bricks is the Golay code: every word and every octad is found, once."""

import itertools

import numpy as np
import pytest

from workbench.lattices.golay.code import golay_code
from workbench.lattices.golay.trio import trio_of

NAMES = ["lexicographic", "systematic"]


@pytest.mark.parametrize("name", NAMES)
def test_bricks_are_disjoint_octads(name):
    trio, octads = trio_of(name), golay_code(name).octads
    assert sorted(trio.places.tolist()) == list(range(24))
    for brick, octad in zip(trio.places.reshape(3, 8), trio.brick_octads, strict=True):
        assert brick.tolist() == octads[octad].tolist()


@pytest.mark.parametrize("name", NAMES)
def test_classes_ranks_and_signs_give_every_word_once(name):
    trio, words = trio_of(name), golay_code(name).words
    assert sorted(trio.messages.ravel().tolist()) == list(range(4096))
    patterns = (words[:, trio.places].reshape(-1, 3, 8).astype(int) << np.arange(8)).sum(2)
    for c, i, j, signs in itertools.product(range(8), range(0, 8, 3), range(8), range(8)):
        folded = (trio.folded[0, c, i], trio.folded[1, c, j], trio.folded[2, c, i ^ j])
        expected = [pattern ^ 255 if signs >> b & 1 else pattern for b, pattern in enumerate(folded)]
        assert patterns[trio.messages[c, i, j, signs]].tolist() == expected
    assert trio.folded.max() < 128


@pytest.mark.parametrize("name", NAMES)
def test_octads_by_duos_and_quads_are_all_octads(name):
    trio, octads = trio_of(name), golay_code(name).octads
    found = {int(octad): octads[octad].tolist() for octad in trio.brick_octads}
    bricks = trio.places.reshape(3, 8)
    for (brick, quad, *duos), listed in zip(trio.mixed, trio.mixed_octads, strict=True):
        for pair, side in itertools.product(range(4), range(2)):
            one, two = trio.duos[duos[2 * pair]], trio.duos[duos[2 * pair + 1]]
            parts = bricks[brick][trio.quads[quad, side]], bricks[(brick + 1) % 3][one], bricks[(brick + 2) % 3][two]
            found[int(listed[pair, side])] = sorted(np.concatenate(parts).tolist())
    for (brick, quad, other), listed in zip(trio.even, trio.even_octads, strict=True):
        for side, turn in itertools.product(range(2), range(2)):
            parts = bricks[brick][trio.quads[quad, side]], bricks[(brick + 1) % 3][trio.quads[other, turn]]
            found[int(listed[side, turn])] = sorted(np.concatenate(parts).tolist())
    assert len(found) == 759
    assert all(octads[octad].tolist() == positions for octad, positions in found.items())
