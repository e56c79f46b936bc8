"""The documentation: what it links to exists, what it generates is complete, and its examples run."""

import importlib.util
import json
import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

REPOSITORY = Path(__file__).parents[1]
DOCS = REPOSITORY / "docs"
PAGES = [path for path in sorted(DOCS.rglob("*.md")) if not {"_build", "generated", "space"} & set(path.parts)]
READ_IN_PLACE = [REPOSITORY / "README.md", REPOSITORY / ".github" / "CONTRIBUTING.md"]
NETWORK = "gradio_client"  # examples that need the app running


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    """The module that generates pages, writing into a temporary folder."""
    spec = importlib.util.spec_from_file_location("documentation_pages", DOCS / "pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.GENERATED = tmp_path_factory.mktemp("docs") / "generated"
    module.write_pages()
    return module


def examples(path: Path) -> str:
    """The Python of a page, without what talks to a running app."""
    blocks = re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)
    return "\n".join(block for block in blocks if NETWORK not in block and "client." not in block)


def links(path: Path) -> list[str]:
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]


@pytest.mark.parametrize("path", [*PAGES, *READ_IN_PLACE], ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_links_lead_somewhere(path, generator):
    for target in links(path):
        name = target.partition("#")[0]
        if name.startswith("/generated/"):
            assert (generator.GENERATED / name.removeprefix("/generated/")).is_file(), target
        elif name:
            assert (path.parent / name).exists(), target


def test_every_page_is_in_a_table_of_contents(generator):
    listed = set()
    for path in PAGES:
        for tree in re.findall(r"^```\{toctree\}\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S):
            listed |= {line.strip() for line in tree.splitlines() if line.strip() and not line.startswith(":")}
    names = {path.relative_to(DOCS).with_suffix("").as_posix() for path in PAGES}
    assert names - listed == {"index"}
    rooms = {entry.removeprefix("generated/api/workbench.") for entry in listed if "api/workbench." in entry}
    assert rooms == set(generator.ROOMS)


def test_the_zoo_has_a_full_row_for_every_bundled_model(generator):
    rows = generator.model_rows()
    assert {row["model"] for row in rows} == {
        path.parent.name for path in generator.PACKAGE.glob("pretrained/*/config.json")
    }
    for row in rows:
        assert all(row.values()), row
        assert "|" not in "".join(row.values()), row
        assert "---" not in row["scores"], row
    by_name = {row["model"]: row for row in rows}
    assert "PSNR 26.48 dB" in by_name["photo-leech"]["scores"]
    assert by_name["photo-leech"]["size"].startswith("3.05 M")
    assert by_name["photo-rate-4"]["codebook"] == "leech, 3 stages"
    assert by_name["flowers-64"]["terms"] == "CC BY 2.0"


def test_a_card_without_scores_is_refused(generator):
    with pytest.raises(ValueError, match="no section 'Scores'"):
        generator._section("# a-model\n\n## Training\n\n- data: none\n", "Scores")


def test_notebooks_keep_their_cells_and_figures(generator):
    for path in sorted((REPOSITORY / "notebooks").glob("*.ipynb")):
        before = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = (generator.GENERATED / "notebooks" / path.name).read_text(encoding="utf-8")
        after = json.loads(text)["cells"]
        assert len(after) == len(before)
        assert [len(cell.get("outputs", ())) for cell in after] == [len(cell.get("outputs", ())) for cell in before]
        assert generator._PLOTLY not in text
        assert "](../" not in text
        assert 'src=\\"http' not in text  # figures are drawn by a local script


def test_every_verb_is_on_the_page_of_the_command_line(generator):
    from workbench.cli import verb_names

    text = (generator.GENERATED / "command-line.md").read_text(encoding="utf-8")
    for verb in verb_names():
        assert re.search(rf"^## `workbench {verb}\b", text, re.M), verb


def test_docstrings_become_literal_displays_and_keep_their_bars():
    sys.path.insert(0, str(DOCS))
    try:
        from docstrings import mark_displays
    finally:
        sys.path.remove(str(DOCS))
    lines = ["The norm |x| of `|y|`.", "", "    |x| = 1", "", "Args:", "    x: a point.", "", "        More."]
    mark_displays(None, "function", "f", None, None, lines)
    assert lines[:5] == [r"The norm \|x\| of `|y|`.", "", "::", "", "    |x| = 1"]
    assert lines[5:] == ["", "Args:", "    x: a point.", "", "        More."]


@pytest.mark.slow
@pytest.mark.parametrize("page", ["../README.md", "start.md", "howto/quantizer.md", "howto/codec.md"])
def test_the_examples_run(page, tmp_path, monkeypatch):
    ramp = np.linspace(0, 255, 48 * 64 * 3).astype(np.uint8).reshape(48, 64, 3)
    (tmp_path / "photos").mkdir()
    for name in ("photo.jpg", "photos/a.jpg", "photos/b.jpg"):
        Image.fromarray(ramp).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    code = examples(DOCS / page)
    assert code
    exec(compile(code, page, "exec"), {"__name__": "example"})


def test_a_space_asks_for_what_the_app_needs():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["app"]]
    assert (DOCS / "space" / "requirements.txt").read_text(encoding="utf-8").split() == sorted(wanted)
    locked = re.search(r"^gradio==(\S+)", (REPOSITORY / "requirements.lock").read_text(encoding="utf-8"), re.M)
    header = (DOCS / "space" / "README.md").read_text(encoding="utf-8").split("---")[1]
    assert f"sdk_version: {locked[1]}\n" in header
    assert "app_file: app.py\n" in header


def test_the_readme_is_short():
    words = (REPOSITORY / "README.md").read_text(encoding="utf-8").split()
    assert len(words) < 1000  # three minutes
