"""Tar shards: pictures and their class numbers in one plain tar file, as WebDataset lays them out.

A sample is the files that share a key: `KEY.webp` (or another picture suffix) is the picture, `KEY.cls` its class as
decimal text; how many other files are passed over is said in the log. The suffix is what follows the last dot, as in a
folder, so `IMG_2.0.png` is a picture; two pictures of one key are two samples, called by their whole names. The index
holds where each picture lies in the tar, so that any sample is one `seek` and one `read` away, in any order and from
any thread. Compressed tars cannot be entered in the middle.
"""

__all__ = ["index_shard"]

import logging
import tarfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from workbench.errors import ImageError
from workbench.images.files import SUFFIXES, is_made_by_a_system
from workbench.images.folders import Entry

_log = logging.getLogger(__name__)
_LONGEST_CLASS = 20  # characters of a `.cls` file


def index_shard(path: Path, on_error: Callable[[str, ImageError], None]) -> list[Entry]:
    """List the pictures of a shard in the order of the tar.

    A shard that is cut short gives the pictures before the cut, and the cut is reported.

    Args:
        path: A tar file, not compressed.
        on_error: Told what cannot be used.

    Raises:
        ImageError: if it is no tar file at all, or cannot be opened.
    """
    try:
        size = path.stat().st_size
        archive = tarfile.open(path, mode="r:")
    except (OSError, tarfile.TarError) as error:
        raise ImageError(f"{path}: not a plain tar file ({error}); unpack compressed ones first") from error
    pictures: dict[tuple[str, str], tuple[int, int]] = {}  # by key and suffix
    classes: dict[str, int] = {}
    others: Counter[str] = Counter()
    end = 0
    with archive:
        try:
            for member in archive:
                end = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
                if not member.isreg() or any(map(is_made_by_a_system, member.name.split("/"))):
                    continue
                key, suffix = _split(member.name)
                where = f"{path}:{key}"
                if member.offset_data + member.size > size:
                    on_error(where, ImageError(f"{where}: the shard ends in the middle of it"))
                elif suffix.lower() in SUFFIXES:
                    pictures[key, suffix] = (member.offset_data, member.size)  # as tar has it, the last one counts
                elif suffix.lower() == ".cls":
                    content = archive.extractfile(member)
                    text = content.read(_LONGEST_CLASS + 1).strip() if content else b""
                    if len(text) <= _LONGEST_CLASS and text.isdigit():
                        classes[key] = int(text)
                    else:
                        on_error(where, ImageError(f"{where}: class {text[:20]!r} is not a number from 0 up"))
                else:
                    others[suffix or "no suffix"] += 1
        except (OSError, tarfile.TarError) as error:
            on_error(str(path), ImageError(f"{path}: damaged after {len(pictures)} pictures ({error})"))
    # `tarfile` takes a file that ends between two members, or within a header, for a whole one.
    if end + tarfile.BLOCKSIZE > size:
        on_error(str(path), ImageError(f"{path}: ends without its end mark, after {len(pictures)} pictures: cut short"))
    if others:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common())
        _log.info("%s: files that are no pictures are passed over: %s", path, kinds)
    shared = Counter(key for key, _ in pictures)
    return [
        Entry(
            key=key if shared[key] == 1 else key + suffix,
            where=f"{path}:{key}{suffix}",
            path=path,
            label=classes.get(key),
            offset=offset,
            size=length,
        )
        for (key, suffix), (offset, length) in pictures.items()
    ]


def _split(name: str) -> tuple[str, str]:
    """Split a member's name at the last dot of its last part; the suffix keeps its dot and its case."""
    folder, _, last = name.rpartition("/")
    key, dot, suffix = last.rpartition(".")
    key, suffix = (key, dot + suffix) if key else (last, "")
    return f"{folder}/{key}" if folder else key, suffix
