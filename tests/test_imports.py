"""Imports flow one way: a module may import only from its own room or from a lower one."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
LAYERS = [
    {"errors"},
    {"atomic", "progress"},
    {"hub"},
    {"lattices"},
    {"quantizers", "coding", "images", "metrics"},
    {"models"},
    {"fit"},
    {"tasks"},
    {"ui", "cli", "notebooks"},
    {"app", "training"},  # a few lines each: one opens `ui`, the scripts are command lines of their own over `cli`
]
RANK = {room: rank for rank, layer in enumerate(LAYERS) for room in layer}
# `workbench/__main__.py` is the command line's own front door.
SAME_ROOM = {"__main__": "cli"}


def room_of(name: str) -> str | None:
    """The room that a dotted name of ours lies in, None for foreign names and for the package itself."""
    top, *rest = name.split(".")
    if top in {"training", "notebooks", "app"}:
        return top
    if top != "workbench" or not rest:
        return None
    room = SAME_ROOM.get(rest[0], rest[0])
    return room if room in RANK else None


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything a module imports, by statement or by `import_module("...")`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{'.' * node.level}{node.module or ''}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "import_module":
            yield from ((node.lineno, a.value) for a in node.args if isinstance(a, ast.Constant))


def is_for_type_checkers(node: ast.stmt) -> bool:
    """Whether a statement is `if TYPE_CHECKING:`."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def violations(path: Path, source: str, root: Path = REPOSITORY) -> list[str]:
    """What a file imports sideways or upwards, each as a sentence with file and line."""
    parts = path.relative_to(root).with_suffix("").parts
    here = room_of(".".join(parts))
    found = []
    tree = ast.parse(source)
    if path.name == "__init__.py" and here is None:
        tree.body = [node for node in tree.body if not is_for_type_checkers(node)]  # the program never runs these
    for line, name in imported(tree):
        there = room_of(name)
        where = f"{path.relative_to(root)}:{line}"
        if name.startswith("."):
            found.append(f"{where} imports {name} by dots; write the whole name")
        elif there is None or there == here:
            continue
        elif here is None:
            found.append(f"{where} imports {name}, but the package itself loads lazily")
        elif RANK[there] >= RANK[here]:
            found.append(f"{where}: {here} imports {there} ({name}), which is not below it")
    return found


def sources() -> list[Path]:
    folders = [REPOSITORY / "workbench", REPOSITORY / "training"]
    return [*(path for folder in folders for path in folder.rglob("*.py")), REPOSITORY / "app.py"]


def test_imports_flow_one_way():
    files = sources()
    assert len(files) > 20
    found = [sentence for path in files for sentence in violations(path, path.read_text(encoding="utf-8"))]
    assert not found, "\n".join(found)


def test_every_room_has_a_place_in_the_order():
    rooms = {p.name for p in (REPOSITORY / "workbench").iterdir() if (p / "__init__.py").exists()}
    assert rooms <= set(RANK), f"no place in the order of imports: {rooms - set(RANK)}"


@pytest.mark.parametrize(
    ("file", "line", "wrong"),
    [
        ("workbench/lattices/code.py", "from workbench.quantizers import registry", True),
        ("workbench/quantizers/quantizer.py", "import workbench.images.files", True),
        ("workbench/models/tokenizer.py", "    from workbench.tasks import compress", True),
        ("workbench/coding/range_coder.py", "from workbench.models.tokenizer import Tokenizer", True),
        ("workbench/ui/app.py", "from workbench.cli import print_json", True),
        ("workbench/fit/engine/loop.py", "import training", True),
        ("workbench/hub.py", "from workbench.models import presets", True),
        ("workbench/__init__.py", "from workbench.lattices import code", True),
        ("workbench/models/tokenizer.py", "from .layers import Block", True),
        ("workbench/models/tokenizer.py", 'module = import_module("workbench.fit")', True),
        ("workbench/tasks/compress/picture.py", "from workbench.coding import container", False),
        ("workbench/__main__.py", "from workbench.cli import verb_names", False),
        ("workbench/lattices/search/nearest.py", "from workbench.lattices.code import Code", False),
        ("training/tokenizer.py", "from workbench.fit import engine", False),
        ("workbench/images/files.py", "from workbench.errors import ImageError", False),
    ],
)
def test_the_check_itself(file, line, wrong):
    source = f"def function():\n{line if line.startswith(' ') else '    ' + line}\n"
    assert bool(violations(REPOSITORY / file, source)) is wrong
