"""The array of the Golay code: what five, four and fewer positions determine, and the law of the array."""

import itertools

import numpy as np
import pytest

from workbench.errors import InputError
from workbench.lattices.golay.code import golay_code
from workbench.tasks.explore.golay import CODE, arrangement, view_positions

WORDS = golay_code(CODE).words.astype(int)


def test_every_word_meets_columns_and_top_row_in_one_parity():
    array = arrangement()
    assert sorted(array.flatten().tolist()) == list(range(24))
    columns = WORDS[:, array].sum(axis=1) % 2  # shape: (4096, 6)
    tops = WORDS[:, array[0]].sum(axis=1) % 2
    assert (columns == tops[:, None]).all()
    assert set(tops.tolist()) == {0, 1}


@pytest.mark.parametrize(("count", "octads"), [(0, 759), (1, 253), (2, 77), (3, 21), (4, 5), (5, 1)])
def test_octads_through_any_positions(count, octads):
    choices = list(itertools.combinations(range(24), count))
    rng = np.random.default_rng(0)
    for i in rng.choice(len(choices), min(20, len(choices)), replace=False):
        view = view_positions(choices[i])
        assert view.octads_through == octads
        assert (view.octad is None) == (count != 5)
        assert (view.sextet is None) == (count != 4)


def test_five_positions_give_a_word_that_contains_them_and_its_complement():
    view = view_positions([23, 5, 9, 17, 2])
    assert set(view.chosen) <= set(view.octad)
    mask = np.isin(np.arange(24), view.octad).astype(int)
    assert (WORDS == mask).all(axis=1).any()
    assert sorted(view.octad + view.complement) == list(range(24))


def test_the_sets_of_a_sextet_are_octads_two_by_two():
    sextet = view_positions([1, 6, 11, 20]).sextet
    assert sextet[0] == (1, 6, 11, 20)
    assert sorted(itertools.chain(*sextet)) == list(range(24))
    octads = {tuple(row) for row in golay_code(CODE).octads.tolist()}
    for one, other in itertools.combinations(sextet, 2):
        assert tuple(sorted(one + other)) in octads


@pytest.mark.parametrize("chosen", [[24], [-1], [1, 1], [0, 1, 2, 3, 4, 5], ["3"], [1.0]])
def test_positions_that_are_none_are_refused(chosen):
    with pytest.raises(InputError, match="position"):
        view_positions(chosen)
