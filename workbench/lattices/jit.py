"""Kernels: the one place that compiles functions to machine code, keeps the result on disk, and says so.

`kernel` marks a function for numba. A kernel releases the interpreter's lock and runs on the calling thread alone
(`pool.py` splits a batch among threads); division is numpy's, without a check for zero.

Machine code is kept in a folder named after the processor and a digest of all kernel sources and of numba's version.
numba by itself looks at the file of the outer function only, so that a change in a function that is called from
another file would go unnoticed; with the digest in the name, old code cannot be found. Folders of other digests are
removed. The digest is taken when the first kernel is compiled; nothing happens at import.

The folder lies in the first of these that can be written:

1. `NUMBA_CACHE_DIR`, where it is set;
2. `__pycache__` of this package;
3. the user's cache (`workbench.hub.cache_directory`);
4. a folder in the system's temporary files that nobody else can read or write, with a warning.

Where there is none, kernels are compiled at every start, with a warning. Code that lies ready in a folder that can only
be read, as in an image of a container, is used.

The first function that has to be compiled is told to the log, and to whoever asked by `announced`.
"""

__all__ = ["COMPILING", "announced", "kernel", "kernel_sources", "requested"]

import functools
import hashlib
import inspect
import logging
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar, overload

import numba
from numba.core.caching import CompileResultCacheImpl, FunctionCache, NullCache, _CacheLocator

from workbench.errors import WorkbenchError
from workbench.hub import cache_directory

COMPILING = "compiling the search kernels (once)"

F = TypeVar("F", bound=Callable[..., Any])

_LOG = logging.getLogger(__name__)
_PACKAGE = Path(__file__).parents[1]
_MARK = b"from workbench.lattices.jit import "
_BEGAN = time.time()
_NAME = re.compile(r"[0-9a-f]{8}-[0-9a-f]{16}")
_OLD = 30 * 86_400  # seconds after which the folder of another processor, on a shared disk, is removed too

_listeners: list[Callable[[str], object]] = []
_requested: set[str] = set()


@overload
def kernel(function: F, *, inline: bool = False, fastmath: Iterable[str] = ()) -> F: ...
@overload
def kernel(*, inline: bool = False, fastmath: Iterable[str] = ()) -> Callable[[F], F]: ...
def kernel(function: F | None = None, *, inline: bool = False, fastmath: Iterable[str] = ()) -> F | Callable[[F], F]:
    """Have a function compiled when it is first called.

    Args:
        function: What numba can compile; types are those of the first arguments.
        inline: Whether its body replaces every call of it in other kernels.
        fastmath: Liberties that LLVM may take with floats, by LLVM's names: `contract`, `nnan`, `nsz` …

    Returns:
        The kernel. With `NUMBA_DISABLE_JIT` set it raises WorkbenchError when it is called: kernels rely on integers
        of 64 bits and on vector registers, which only the compiled code has.
    """
    if function is None:
        return lambda function: kernel(function, inline=inline, fastmath=fastmath)
    plain = inspect.unwrap(function)  # a checker of shapes may have wrapped it
    if numba.config.DISABLE_JIT:  # pyright: ignore[reportAttributeAccessIssue] - made at run time
        return _refused  # type: ignore[return-value]
    options = {"nogil": True, "error_model": "numpy", "forceinline": inline, "fastmath": set(fastmath) or False}
    compiled: Any = numba.njit(**options)(plain)
    compiled._cache = _KernelCache(plain)
    return compiled


@contextmanager
def announced(listener: Callable[[str], object]) -> Iterator[None]:
    """Within this context `listener` is told :data:`COMPILING` whenever a kernel has to be compiled, on any thread."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def requested() -> frozenset[str]:
    """Names, with types of arguments, of the kernels that this process has loaded or compiled."""
    return frozenset(_requested)


def kernel_sources(package: Path = _PACKAGE) -> list[Path]:
    """The files that compiled code can come from: all of `lattices`, and the folder of each module with kernels."""
    files = sorted(package.rglob("*.py"))
    folders = {path.parent for path in files if _MARK in path.read_bytes()}
    return [path for path in files if path.parent in folders or package / "lattices" in path.parents]


def _refused(*arguments: object) -> NoReturn:  # noqa: ARG001 - stands for any kernel
    raise WorkbenchError(
        "NUMBA_DISABLE_JIT is set, but the kernels of the workbench run only when compiled: unset it and start again"
    )


class _KernelCache(NullCache):
    """What numba asks before it compiles a function, and tells when it has: one for each kernel."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def load_overload(self, sig: Any, target_context: Any) -> Any:  # noqa: ANN401 - numba's own
        """The compiled function from disk, or None, which makes numba compile it."""
        _requested.add(f"{self._function.__module__}.{self._function.__qualname__}{sig}")
        folders = _folders(target_context.codegen().magic_tuple())
        for folder in folders.read:
            try:
                found = _Stored(self._function, sig, folder).load_overload(sig, target_context)
            except OSError:
                continue
            if found is not None:
                return found
        if folders.note:
            _say_once(folders.note)
        _announce()
        return None

    def save_overload(self, sig: Any, data: Any) -> None:  # noqa: ANN401 - numba's own
        """Keep a compiled function."""
        folder = _folders(data.codegen.magic_tuple()).write
        if folder is None:
            return
        try:
            _Stored(self._function, sig, folder).save_overload(sig, data)
        except OSError as error:
            _say_once(f"compiled kernels cannot be kept in {folder}: {error.strerror}")


class _Stored(FunctionCache):
    """One signature of one function in a folder: a file of its own, so that processes never share an index."""

    def __init__(self, function: Callable[..., Any], sig: object, folder: Path) -> None:
        self._impl_class = functools.partial(_Impl, sig=sig, folder=folder)
        super().__init__(function)


class _Impl(CompileResultCacheImpl):
    def __init__(self, function: Callable[..., Any], *, sig: object, folder: Path) -> None:
        # Not numba's constructor, which looks for a folder by rules of its own.
        self._lineno = function.__code__.co_firstlineno
        self._locator = _Locator(folder, inspect.getfile(function))
        types = hashlib.sha256(str(sig).encode()).hexdigest()[:16]
        self._filename_base = f"{function.__module__}.{function.__qualname__}-{types}"


class _Locator(_CacheLocator):
    def __init__(self, folder: Path, file: str) -> None:
        self._folder, self._py_file = str(folder), file

    def get_cache_path(self) -> str:
        return self._folder

    def get_source_stamp(self) -> str:
        return ""  # the folder's name says it

    def get_disambiguator(self) -> str:
        return ""


class _Folders(NamedTuple):
    """Where compiled code is looked for, in this order, where it is kept, and what to say once if it is not there."""

    read: tuple[Path, ...]
    write: Path | None
    note: str = ""


@functools.cache
def _folders(processor: tuple[str, ...]) -> _Folders:
    sources = kernel_sources()
    if any(_BEGAN < path.stat().st_mtime <= time.time() for path in sources):
        return _Folders((), None, "kernel sources have changed since this process began: what it compiles is not kept")
    machine = hashlib.sha256(repr((processor, sys.implementation.cache_tag)).encode()).hexdigest()[:8]
    digest = hashlib.sha256(repr((processor, numba.__version__)).encode())
    for path in sources:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(_PACKAGE)} {len(content)}\n".encode() + content)
    name = f"{machine}-{digest.hexdigest()[:16]}"
    read: list[Path] = []
    for base in _bases():
        folder = base / name
        if _is_writable(folder):
            _remove_others(folder)
            return _Folders((*read, folder), folder)
        if folder.is_dir():
            read.append(folder)
    folder = _temporary(name)
    kept = "compiled at every start" if folder is None else f"kept in {folder} when compiled"
    note = f"no cache can be written: kernels are {kept}; NUMBA_CACHE_DIR names a folder for them"
    if not read:
        _say_once(note)
    return _Folders((*read, folder) if folder else tuple(read), folder, note)


def _bases() -> Iterator[Path]:
    # Several installations share a user's cache, and each removes only what was its own.
    own = f"kernels-{hashlib.sha256(str(_PACKAGE).encode()).hexdigest()[:8]}"
    chosen = numba.config.CACHE_DIR  # pyright: ignore[reportAttributeAccessIssue] - made at run time
    if chosen:
        yield Path(chosen) / own
    yield _PACKAGE / "__pycache__" / "kernels"
    yield cache_directory() / own


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        os.utime(folder)
    except OSError:
        return False
    return True


def _remove_others(folder: Path) -> None:
    """Remove the folders of other digests: those of this processor, and of others when nobody has used them long."""
    machine, _, _ = folder.name.partition("-")
    for other in folder.parent.iterdir():
        if other.name == folder.name or not _NAME.fullmatch(other.name):
            continue
        try:
            stale = other.name.startswith(machine) or time.time() - other.stat().st_mtime > _OLD
        except OSError:  # another process was faster
            continue
        if stale:
            shutil.rmtree(other, ignore_errors=True)


def _temporary(name: str) -> Path | None:
    """A folder among the temporary files that belongs to this user and that no other can enter, or None."""
    try:
        base = Path(tempfile.gettempdir()) / f"workbench-kernels-{os.getuid()}"
        base.mkdir(mode=0o700, exist_ok=True)
        status = base.lstat()
    except OSError:
        return None
    # Loading compiled code runs it, so a folder that somebody else may have put there is not used.
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        return None
    return base / name if _is_writable(base / name) else None


@functools.cache
def _say_once(text: str) -> None:
    _LOG.warning(text)


def _announce() -> None:
    if "ipykernel" not in sys.modules:  # a notebook shows that a cell is busy, and would keep the line in its outputs
        _say_once(COMPILING)
    for listener in tuple(_listeners):
        listener(COMPILING)
