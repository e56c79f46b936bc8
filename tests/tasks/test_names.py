"""Names of results: all different, whatever the files are called, and short wherever that tells them apart."""

import itertools
from pathlib import Path

import numpy as np

from workbench.images.files import FoundImage
from workbench.tasks.names import distinct, result_names


def named(*files):
    return [name.as_posix() for name in result_names([Path(file) for file in files], ".out")]


def test_a_name_alone_takes_the_suffix_and_names_that_meet_keep_their_own():
    assert named("a.jpg", "deep/a.png", "b.c.png") == ["a.out", "deep/a.out", "b.c.out"]
    assert named("a.jpg", "b.png", "a.png") == ["a.jpg.out", "b.out", "a.png.out"]
    assert named("a", "b") == ["a.out", "b.out"]


def test_equal_names_are_numbered_and_case_does_not_tell_names_apart():
    assert named("a.jpg", "a.jpg", "a.jpg") == ["a.jpg.out", "a.jpg-2.out", "a.jpg-3.out"]
    assert named("a.jpg", "A.JPG") == ["a.jpg.out", "A.JPG-2.out"]
    assert named("A.png", "a.jpg") == ["A.png.out", "a.jpg.out"]
    assert named("e\N{COMBINING ACUTE ACCENT}.png", "\N{LATIN SMALL LETTER E WITH ACUTE}.jpg") == [
        "e\N{COMBINING ACUTE ACCENT}.png.out",
        "\N{LATIN SMALL LETTER E WITH ACUTE}.jpg.out",
    ]


def test_a_kept_suffix_does_not_meet_the_short_name_of_another():
    for order in itertools.permutations(("a.jpg", "a.png", "a.jpg.gif")):
        assert dict(zip(order, named(*order), strict=True))["a.png"] == "a.png.out"
        assert len(set(named(*order))) == 3


def test_all_names_differ_for_random_files():
    rng = np.random.default_rng(0)
    parts = ["a", "A", "a.jpg", "b", "a-2", ".x"]
    suffixes = ["", ".jpg", ".JPG", ".png", ".out", ".jpg-2"]
    for _ in range(300):
        files = [f"{rng.choice(parts)}{rng.choice(suffixes)}" for _ in range(12)]
        names = named(*files)
        assert len({name.casefold() for name in names}) == 12
        assert all(name.endswith(".out") for name in names)
        assert names == named(*files)


def test_a_file_that_is_named_twice_is_one():
    found = [FoundImage(Path(path), Path(path).name) for path in ("x/a", "y/a", "x/a", "x/../x/b")]
    assert [one.path.as_posix() for one in distinct(found)] == ["x/a", "y/a", "x/../x/b"]
