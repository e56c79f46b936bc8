"""Mutants: change one operator, number or call of the library at a time, and see whether the nearest tests notice.

`python tests/mutants.py` (`make mutants`) draws a seeded sample of all changes that the operators below can make in
`lattices` (without CUDA), `quantizers`, `coding`, `metrics` and `fit/engine`. A mutant lives in memory alone: its
module is compiled from the changed syntax tree when it is imported, and no file is touched. The doctests of the module
and the few test files that import it in the fewest steps run in a process of their own; the first failure kills the
mutant, and so does a crash, or five times the time that the unchanged code takes.

Kernels: numba keeps machine code on disk and looks at the file of the outer function only. So for each mutant the code
of all modules that import the changed one, directly or through others, is compiled again and kept nowhere.

Why no ready-made tool: mutmut passes over every decorated function, which here are the kernels and the properties;
cosmic-ray changes files in place, runs one test command for all of them, and starts Python (with torch: seconds) for
each mutant. Tests that start processes of their own, and those marked slow, do not take part.
"""

import argparse
import ast
import contextlib
import importlib.util
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("lattices", "quantizers", "coding", "metrics", "fit/engine")
LEFT_OUT = ("lattices/search/cuda",)
NEAREST = 4  # test files for a mutant
PATIENCE = 5.0, 60.0  # times what the unchanged code takes, and seconds on top
OPTIONS = ("-x", "-q", "--no-header", "--tb=line", "-p", "no:cacheprovider", "-m", "not slow and not heavy and not gpu")

SWAPPED: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitXor, ast.BitXor: ast.BitOr,
}  # fmt: skip
RENAMED = {"min": "max", "any": "all", "amin": "amax", "argmin": "argmax", "floor": "ceil", "minimum": "maximum"}
RENAMED |= {new: old for old, new in RENAMED.items()}
REMOVED = ("clamp", "clamp_min", "clamp_max", "clip", "abs", "detach", "sort")  # calls that a value can do without
PASSED_OVER = ("annotation", "returns", "decorator_list", "exc", "type_params")  # fields; `exc` is what is raised


class Mutant(NamedTuple):
    """A change of one place of a file: `number` counts the changes of the file in the order of :func:`changes`."""

    file: str
    number: int
    line: int
    what: str


class Outcome(NamedTuple):
    """What became of a mutant: `killed`, `survived` or `timeout`, after so many seconds; `by` is the test."""

    status: str
    seconds: float
    by: str


def changes(tree: ast.Module) -> Iterator[tuple[int, str, Callable[[], None]]]:
    """Line, description and deed of every change of the operators; a deed changes the tree in place."""
    places = deque((node, _setter(tree.body, index)) for index, node in enumerate(tree.body))
    while places:
        node, replace = places.popleft()
        for what, new in _variants(node):
            new = ast.fix_missing_locations(ast.copy_location(new, node))
            yield node.lineno, what, lambda replace=replace, new=new: replace(new)
        for name, value in ast.iter_fields(node):
            if name in PASSED_OVER or isinstance(node, ast.JoinedStr) or getattr(node, "arg", None) == "strict":
                continue
            if isinstance(value, list):
                places.extend((child, _setter(value, i)) for i, child in enumerate(value) if isinstance(child, ast.AST))
            elif isinstance(value, ast.AST):
                places.append((value, lambda new, node=node, name=name: setattr(node, name, new)))


def _setter(items: list, index: int) -> Callable[[ast.AST], None]:
    return lambda new: items.__setitem__(index, new)


def _variants(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """What may stand in the place of a node, each with a description."""

    def altered(**fields: object) -> ast.AST:
        return type(node)(**{**dict(ast.iter_fields(node)), **fields})

    match node:
        case ast.Compare(ops=[op, *rest]) if type(op) in SWAPPED:
            yield f"{_name(op)} → {_name(SWAPPED[type(op)]())}", altered(ops=[SWAPPED[type(op)](), *rest])
        case ast.BinOp(op=op) | ast.AugAssign(op=op) | ast.BoolOp(op=op) if type(op) in SWAPPED:
            yield f"{_name(op)} → {_name(SWAPPED[type(op)]())}", altered(op=SWAPPED[type(op)]())
        case ast.UnaryOp(op=ast.Not() | ast.USub() as op, operand=operand):
            yield f"without {_name(op)}", operand
        case ast.Constant(value=bool() as value):
            yield f"{value} → {not value}", ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            new = value + 1 if isinstance(value, int) or not value else 2 * value
            yield f"{value} → {new}", ast.Constant(new)
        case ast.If(test=ast.Name() | ast.Attribute() | ast.Call() as test) if _text(test) != "TYPE_CHECKING":
            yield f"if not {_text(test)}", altered(test=ast.UnaryOp(ast.Not(), test))
        case ast.Expr(value=ast.Call() as call):
            yield f"without {_text(call)}", ast.Pass()
        case ast.Call(func=ast.Name(id=name)) if name in RENAMED:
            yield f"{name} → {RENAMED[name]}", altered(func=ast.Name(RENAMED[name], ast.Load()))
        case ast.Call(func=ast.Attribute(attr=name) as func) if name in RENAMED:
            yield f"{name} → {RENAMED[name]}", altered(func=ast.Attribute(func.value, RENAMED[name], ast.Load()))
        case ast.Call(func=ast.Attribute(attr=name, value=value)) if name in REMOVED and _text(value) not in (
            "np",
            "torch",
            "math",
            "F",
        ):
            yield f"without .{name}(…)", value
    if isinstance(node, ast.Call) and len(node.args) > 1 and not isinstance(node.args[1], ast.Starred):
        one, two, *rest = node.args
        if not isinstance(one, ast.Starred) and ast.dump(one) != ast.dump(two):
            yield f"{_text(one)} ↔ {_text(two)}", altered(args=[two, one, *rest])


def _name(op: ast.AST) -> str:
    return type(op).__name__


def _text(node: ast.AST) -> str:
    return ast.unparse(node).replace("\n", " ")[:50]


def mutants(rooms: Sequence[str] = ROOMS) -> list[Mutant]:
    """Every mutant of the rooms, in the order of the files."""
    inside = [ROOT / "workbench" / room for room in rooms]
    files = sorted({path for room in inside for path in ([room] if room.is_file() else room.rglob("*.py"))})
    out = [ROOT / "workbench" / room for room in LEFT_OUT]
    found = []
    for path in files:
        if not any(folder in path.parents for folder in out):
            file = path.relative_to(ROOT).as_posix()
            found += [Mutant(file, n, line, what) for n, (line, what, _) in enumerate(changes(_parsed(file)))]
    return found


def _parsed(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


class Imports:
    """Who imports whom: modules of the library, and the test files that unit tests are in."""

    def __init__(self) -> None:
        tests = [path for path in (ROOT / "tests").rglob("test_*.py") if path.parent.name not in ("e2e", "ui", "cli")]
        files = [*(ROOT / "workbench").rglob("*.py"), *tests]
        self.tests = {_module(path): path.relative_to(ROOT).as_posix() for path in tests}
        known = {_module(path) for path in files}
        self.importers: dict[str, set[str]] = {name: set() for name in known}
        for path in files:
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.module:
                    names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
                for name in names:
                    if name in known:
                        self.importers[name].add(_module(path))

    def distances(self, module: str) -> dict[str, int]:
        """Steps from a module to everything that imports it, directly or through others; 0 for itself."""
        found, queue = {module: 0}, deque([module])
        while queue:
            one = queue.popleft()
            for other in sorted(self.importers[one]):
                if other not in found:
                    found[other] = found[one] + 1
                    queue.append(other)
        return found

    def nearest_tests(self, file: str) -> tuple[str, ...]:
        """The module itself, for its doctests, and the test files in the fewest steps.

        Another room counts as two steps; of equals, those come first that name the module most often.
        """
        room, stem = file.split("/")[1], Path(file).stem
        steps = self.distances(_module(ROOT / file))

        def rank(name: str) -> tuple[int, int, str]:
            path = self.tests[name]
            named = (ROOT / path).read_text(encoding="utf-8").count(stem)
            return steps[name] + 2 * (path.split("/")[1] != room), -named, path

        near = sorted((name for name in self.tests if name in steps), key=rank)
        return (file, *(self.tests[name] for name in near[:NEAREST]))


class _Loader(SourceFileLoader):
    """Loads a module from a changed tree."""

    tree: ast.Module

    def get_code(self, fullname: str):
        return compile(self.tree, self.get_filename(fullname), "exec", dont_inherit=True)


class _Finder:
    def __init__(self, module: str, loader: _Loader) -> None:
        self.module, self.loader = module, loader

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name != self.module:
            return None
        return importlib.util.spec_from_file_location(name, self.loader.path, loader=self.loader)


def _install(mutant: Mutant, stale: set[str]) -> None:
    """From now on the module is the mutant, and kernels of the `stale` modules are compiled anew and kept nowhere."""
    from numba.core import caching

    tree = _parsed(mutant.file)
    list(changes(tree))[mutant.number][2]()
    module = _module(ROOT / mutant.file)
    loader = _Loader(module, str(ROOT / mutant.file))
    loader.tree = tree
    sys.meta_path.insert(0, _Finder(module, loader))

    def fresh(kept: Callable) -> Callable:
        return lambda cache, *arguments: None if cache._py_func.__module__ in stale else kept(cache, *arguments)

    caching.Cache.load_overload = fresh(caching.Cache.load_overload)
    caching.Cache.save_overload = fresh(caching.Cache.save_overload)


def _start(tests: Sequence[str], log: Path, mutant: Mutant | None, stale: set[str]) -> int:
    """Run tests in a forked process, with its output in a file; returns the number of the process."""
    process = os.fork()
    if process:
        return process
    code = 70
    try:
        os.setsid()
        with log.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        if mutant:
            _install(mutant, stale)
        import pytest

        code = pytest.main([*OPTIONS, f"--rootdir={ROOT}", *(str(ROOT / test) for test in tests)])
    finally:
        sys.stdout.flush()
        os._exit(int(code))


def _finish(process: int, limit: float, began: float) -> int | None:
    """Exit status of a process, negative for a signal; None after the limit, when its whole group is ended."""
    while time.monotonic() - began < limit:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.1)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return None


def judge(mutant: Mutant, imports: Imports, clean: dict[tuple[str, ...], float], folder: Path) -> Outcome:
    """Run the nearest tests on a mutant; on the unchanged code first, where that was not done yet."""
    tests, log = imports.nearest_tests(mutant.file), folder / f"{os.getpid()}.txt"
    if tests not in clean:
        began = time.monotonic()
        if _finish(_start(tests, log, None, set()), 3600, began) not in (0, 5):  # 5: no tests
            sys.exit(f"the unchanged code fails {' '.join(tests)}:\n{log.read_text()[-2000:]}")
        clean[tests] = time.monotonic() - began
    began = time.monotonic()
    stale = set(imports.distances(_module(ROOT / mutant.file)))
    status = _finish(_start(tests, log, mutant, stale), PATIENCE[0] * clean[tests] + PATIENCE[1], began)
    said = [line for line in log.read_text(errors="replace").splitlines() if line.startswith(("FAILED", "ERROR"))]
    seconds = round(time.monotonic() - began, 1)
    if status is None:
        return Outcome("timeout", seconds, "")
    return Outcome("survived" if status in (0, 5) else "killed", seconds, said[0] if said else f"exit status {status}")


def main() -> None:
    """Draw, run and report; an interrupted run goes on from its report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sample", type=int, default=300, metavar="N", help="how many mutants; 300 by default")
    parser.add_argument("--seed", type=int, default=0, help="of the sample; 0 by default")
    parser.add_argument("--rooms", nargs="+", default=ROOMS, help="folders or files below workbench")
    parser.add_argument(
        "--report", type=Path, default=Path("mutants.json"), help="where results go, and are taken from"
    )
    chosen = parser.parse_args()
    every = mutants(chosen.rooms)
    if not every:
        sys.exit(f"no code in {', '.join(chosen.rooms)} below workbench")
    drawn = random.Random(chosen.seed).sample(every, min(chosen.sample, len(every)))
    print(f"{len(drawn)} of {len(every):,} mutants, seed {chosen.seed}")
    known = json.loads(chosen.report.read_text()) if chosen.report.is_file() else []
    rows = {tuple(row[name] for name in Mutant._fields): row for row in known}
    import numba  # noqa: F401 - once, for all that is forked
    import pytest  # noqa: F401
    import torch

    torch.set_num_threads(1)
    imports, clean = Imports(), {}
    with tempfile.TemporaryDirectory() as folder:
        for count, mutant in enumerate(drawn, start=1):
            if tuple(mutant) in rows:
                continue
            outcome = judge(mutant, imports, clean, Path(folder))
            rows[tuple(mutant)] = mutant._asdict() | outcome._asdict()
            print(
                f"{count} {outcome.status} {mutant.file}:{mutant.line} {mutant.what}  {outcome.seconds} s", flush=True
            )
            chosen.report.write_text(json.dumps([rows[m] for m in map(tuple, drawn) if m in rows], indent=1) + "\n")
    counts = Counter(rows[tuple(mutant)]["status"] for mutant in drawn)
    print(", ".join(f"{count} {status}" for status, count in counts.most_common()))
    print(f"{100 * (1 - counts['survived'] / len(drawn)):.1f} % killed, timeouts among them")


if __name__ == "__main__":
    main()
