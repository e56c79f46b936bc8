"""Names of results: what each file of a batch becomes, so that no two results share a name.

A result is called after its file with another suffix: `a.jpg` becomes `a.leech`. Where several files would share that
name (`a.jpg` and `a.png`), each keeps its own suffix: `a.jpg.leech` and `a.png.leech`. Where that does not tell them
apart either (`one/a.jpg` and `two/a.jpg`, both named alone), all but the first are numbered: `a.jpg-2.leech`. Names
that differ in upper and lower case, or in how an accent is written, count as one: some file systems hold them so.
"""

__all__ = ["distinct", "result_names"]

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path

from workbench.images.files import FoundImage


def result_names(files: Sequence[Path], suffix: str) -> list[Path]:
    """Name the result of each file.

    Args:
        files: Relative paths of the files.
        suffix: That of the results, with its dot.

    Returns:
        A relative path for each, in the same order, all different; the same files give the same names.
    """
    sharing = Counter(_key(file.with_suffix(suffix)) for file in files)
    taken: set[str] = set()
    names = []
    for file in files:
        short = file.with_suffix(suffix)
        candidates = _candidates(file, suffix, alone=sharing[_key(short)] == 1)
        name = next(candidate for candidate in candidates if _key(candidate) not in taken)
        taken.add(_key(name))
        names.append(name)
    return names


def distinct(found: Iterable[FoundImage]) -> list[FoundImage]:
    """Files in the order in which they were named, each once."""
    first: dict[Path, FoundImage] = {}
    for one in found:
        first.setdefault(one.path.absolute(), one)
    return list(first.values())


def _candidates(file: Path, suffix: str, *, alone: bool) -> Iterator[Path]:
    """Names for a result, the best first."""
    if alone:
        yield file.with_suffix(suffix)
    yield file.with_name(file.name + suffix)
    for number in count(2):
        yield file.with_name(f"{file.name}-{number}{suffix}")


def _key(path: Path) -> str:
    """What a file system that minds neither case nor the writing of accents takes a path for."""
    return unicodedata.normalize("NFC", str(path)).casefold()
