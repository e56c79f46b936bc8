"""Pages that come from the package: model zoo, model cards, notebooks, API and command line.

Written into `docs/generated` before Sphinx reads its sources, so that nothing the package says about itself is typed a
second time. A file is touched only where its text changes: Sphinx then reads again only what is new.
"""

__all__ = ["model_rows", "write_pages"]

import ast
import json
import math
import re
import shutil
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
GENERATED = Path(__file__).parent / "generated"
PACKAGE = REPOSITORY / "workbench"
# The app and the command line are described by pages of their own.
ROOMS = ("lattices", "quantizers", "coding", "images", "metrics", "models", "fit", "tasks")
LOOSE = ("errors", "hub", "atomic", "lazy", "progress")
TASKS = {
    "tokenizer": "tokenizer",
    "multiscale-tokenizer": "multi-scale tokenizer",
    "generator": "class-conditional generator",
    "features": "feature network",
}
_LINK = re.compile(r"\[(?P<text>[^\]]+)\]\((?P<path>\.\./[^)#]+)\)")
_PLOTLY = "application/vnd.plotly.v1+json"


def write_pages() -> None:
    """Write every generated page; what an earlier call wrote and this one does not is removed."""
    pages = {**_model_pages(), **_notebook_pages(), **_api_pages(), "command-line.md": _command_line()}
    for name, text in pages.items():
        path = GENERATED / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    for path in GENERATED.rglob("*"):
        if path.is_file() and path.relative_to(GENERATED).as_posix() not in {*pages, "static/plotly.min.js"}:
            path.unlink()
    _copy_plotly()


def model_rows() -> list[dict[str, str]]:
    """One row a bundled model, from its `config.json`, its card and the header of its weights; large ones first."""
    rows = []
    paths = PACKAGE.glob("pretrained/*/config.json")
    for path in sorted(paths, key=lambda path: (-(path.parent / "model.safetensors").stat().st_size, path)):
        config = json.loads(path.read_text(encoding="utf-8"))
        card = (path.parent / "README.md").read_text(encoding="utf-8")
        rows.append(
            {
                "model": path.parent.name,
                "task": TASKS[config["kind"]],
                "codebook": _codebook(config),
                "size": _size(path.parent / "model.safetensors"),
                "scores": _scores(_section(card, "Scores")),
                "data": _data(_section(card, "Training")),
                "terms": _terms(_section(card, "Terms")),
            }
        )
    return sorted(rows, key=lambda row: list(TASKS.values()).index(row["task"]))


def _model_pages() -> dict[str, str]:
    """The table of all models, and the card of each."""
    rows = model_rows()
    linked = [
        {
            **row,
            "model": f"[{row['model']}](/generated/models/{row['model']}.md)",
            "scores": row["scores"].replace("; ", "<br>"),
        }
        for row in rows
    ]
    pages = {"model-table.md": _table(linked)}
    for row in rows:
        card = (PACKAGE / "pretrained" / row["model"] / "README.md").read_text(encoding="utf-8")
        pages[f"models/{row['model']}.md"] = card
    return pages


def _table(rows: Sequence[Mapping[str, str]]) -> str:
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _codebook(config: Mapping[str, Any]) -> str:
    """What a model quantizes with: the quantizer of a tokenizer, the code of a generator's tokenizer."""
    quantizer = config.get("quantizer")
    if quantizer is None:
        return config.get("tokenizer", {}).get("code", "–")
    name = quantizer["name"]
    if name == "residual":
        parts = next(value for value in quantizer.values() if isinstance(value, list) and isinstance(value[0], str))
        return f"{parts[0]}, {len(parts)} stages"
    if name == "multiscale":
        return f"{quantizer['base']}, {len(quantizer['scales'])} scales"
    return name


def _size(weights: Path) -> str:
    """Number of parameters and megabytes, from the header of a safetensors file: 8 bytes of length, then JSON."""
    with weights.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    count = sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
    return f"{count / 1e6:.2f} M weights, {weights.stat().st_size / 1e6:.1f} MB"


def _section(card: str, title: str) -> str:
    """The text below a heading of a card."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", card, re.M | re.S)
    if found is None:
        raise ValueError(f"a card has no section {title!r}: {card[:60]!r}")
    return found[1].strip()


def _scores(section: str) -> str:
    """The first table of a section on one line: name and value of each row, or of each column of its one row."""
    first = re.search(r"(^\|.*\|\n?)+", section, re.M)
    if first is None:
        raise ValueError(f"a card's scores are no table: {section[:60]!r}")
    head, _, *body = [[cell.strip() for cell in line.strip("|").split("|")] for line in first[0].splitlines()]
    pairs = body if len(head) == 2 else zip(head, body[0], strict=True)
    intro = section.split("|")[0].strip().split("\n\n")[-1]
    kind = "bits a token: " if intro.startswith("Bits a token") else ""
    return kind + "; ".join(f"{name} {value}" for name, value in pairs)


def _data(section: str) -> str:
    return ", ".join(dict.fromkeys(re.findall(r"[a-z]+\d*-train", section.partition("- hardware")[0])))


def _terms(section: str) -> str:
    return ", ".join(dict.fromkeys(re.findall(r"CC BY(?:-SA)? \d\.\d|research use|share alike", section)))


def _notebook_pages() -> dict[str, str]:
    """The notebooks with their committed outputs; links into the source lead to the API, figures to local plotly."""
    pages = {}
    for path in sorted((REPOSITORY / "notebooks").glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = _LINK.sub(_page_link, "".join(cell["source"]))
            for output in cell.get("outputs", ()):
                figure = output.get("data", {}).get(_PLOTLY)
                if figure is not None:
                    output["data"] = {"text/html": _drawn(figure)}
        pages[f"notebooks/{path.name}"] = json.dumps(notebook, ensure_ascii=False)
    return pages


def _page_link(found: re.Match[str]) -> str:
    """A link to a file of the repository as one to the page about it.

    Raises:
        ValueError: if there is no such file, or no page about it.
    """
    text, path = found["text"].replace("`", ""), found["path"].removeprefix("../")
    if not (REPOSITORY / path).exists():
        raise ValueError(f"a notebook links to {path}, which does not exist")
    if path in ("README.md", "training/LOG.md"):
        return f"{{doc}}`{text} </{'results' if path == 'README.md' else 'log'}>`"
    parts = Path(path).with_suffix("").parts
    if parts[0] != "workbench" or parts[1] not in (*ROOMS, *LOOSE):
        raise ValueError(f"a notebook links to {path}, about which there is no page")
    return f"{{py:mod}}`{text} <{'.'.join(parts)}>`"


def _drawn(figure: Mapping[str, Any]) -> str:
    from plotly import graph_objects, io

    figure = graph_objects.Figure(figure, skip_invalid=True)
    height = figure.layout.height or 450
    return io.to_html(
        figure, include_plotlyjs="../../_static/plotly.min.js", full_html=False, default_height=f"{height:.0f}px"
    )


def _copy_plotly() -> None:
    """Put the drawing library that the plotly package ships beside the pages: they ask no other host for it."""
    import plotly

    target = GENERATED / "static" / "plotly.min.js"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(plotly.__file__).parent / "package_data" / "plotly.min.js", target)


def _api_pages() -> dict[str, str]:
    """The names of `import workbench`, and one page a package with its modules; packages inside it have their own."""
    import workbench

    face = [(name, getattr(workbench, name)) for name in workbench.__all__ if not name.startswith("__")]
    homes = [f"- {{py:obj}}`workbench.{name} <{value.__module__}.{value.__qualname__}>`\n" for name, value in face]
    loose = "\n".join(_module(PACKAGE / f"{name}.py") for name in LOOSE)
    pages = {"face.md": "".join(homes), "api/open.rst": f"{_title('Open to every room', '=')}\n{loose}"}
    for room in ROOMS:
        for folder in _packages(PACKAGE / room):
            name = ".".join(folder.relative_to(REPOSITORY).parts)
            inner = [child.name for child in sorted(folder.iterdir()) if (child / "__init__.py").is_file()]
            modules = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py" and _public(path)]
            contents = "".join(f"   {name}.{child}\n" for child in inner)
            tree = f".. toctree::\n   :maxdepth: 1\n\n{contents}\n" if inner else ""
            sections = "\n".join(_module(path) for path in modules)
            pages[f"api/{name}.rst"] = f"{_title(name, '=')}\n.. automodule:: {name}\n\n{tree}{sections}"
    return pages


def _packages(folder: Path) -> Iterator[Path]:
    yield folder
    for child in sorted(folder.iterdir()):
        if (child / "__init__.py").is_file():
            yield from _packages(child)


def _public(path: Path) -> bool:
    """Whether a module says that it has public names."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [node.targets[0] for node in tree.body if isinstance(node, ast.Assign)]
    return any(isinstance(name, ast.Name) and name.id == "__all__" for name in names)


def _module(path: Path) -> str:
    name = ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
    return f"{_title(path.stem, '-')}\n.. automodule:: {name}\n   :members:\n   :show-inheritance:\n"


def _title(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}\n"


def _command_line() -> str:
    """Every verb with what it takes, as the program itself declares it."""
    from typer.main import get_command

    from workbench.__main__ import _program

    lines = ["# Every verb\n\nAs `workbench VERB --help` prints it.\n"]
    for words, command in _verbs(get_command(_program()), ("workbench",)):
        rows = [
            {"takes": f"`{' '.join(getattr(parameter, 'opts', ()))}`", "meaning": _cell(parameter)}
            for parameter in command.params
            if getattr(parameter, "help", None) and parameter.name != "help"
        ]
        table = _table(rows) if rows else ""
        lines.append(f"## `{' '.join(words)}`\n\n{_literal(command.help or '')}\n\n{table}")
    return "\n".join(lines)


def _verbs(command: Any, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401 - typer's own
    inner = getattr(command, "commands", None)
    if inner is None:
        yield words, command
        return
    for name in sorted(inner):
        yield from _verbs(inner[name], (*words, name))


def _cell(parameter: Any) -> str:  # noqa: ANN401 - typer's own
    text = _literal(" ".join(parameter.help.split())).replace("|", "\\|")
    default = parameter.default
    plain = isinstance(default, str | int | float) and not isinstance(default, bool)
    return f"{text} Default: {default}." if plain else text


def _literal(text: str) -> str:
    """Help as Markdown: what would be read as markup is not."""
    return re.sub(r"(?<!`)([<>*\[\]_])(?!`)", r"\\\1", text)
