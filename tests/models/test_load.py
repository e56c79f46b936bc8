"""The catalogue: every place is listed, a damaged model does not hide the others, and a model is loaded once."""

import shutil

import pytest

from workbench.errors import ModelError
from workbench.models import load as catalogue


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(catalogue, "_fetched", lambda: iter(()))
    return tmp_path


def test_models_trained_here_stand_after_the_bundled(cache, tiny_model):
    shutil.copytree(tiny_model, cache / "mine")
    entries = catalogue.models_at_hand()
    mine = entries[-1]
    assert (mine.name, mine.place, mine.kind, mine.quantizer, mine.factor) == (
        "mine",
        "trained here",
        "tokenizer",
        "e8",
        8,
    )
    assert mine.row()["bits_per_token"] == pytest.approx(7.9069, abs=1e-4)
    assert mine.row()["bytes"] == (tiny_model / "model.safetensors").stat().st_size
    assert all(entry.place == "bundled" for entry in entries[:-1])
    assert catalogue.tokenizers()[-1].name == "mine"


def test_a_damaged_configuration_is_left_out_and_named(cache, tiny_model, caplog):
    shutil.copytree(tiny_model, cache / "mine")
    shutil.copytree(tiny_model, cache / "broken")
    (cache / "broken" / "config.json").write_text("{")
    assert [entry.name for entry in catalogue.models_at_hand() if entry.place == "trained here"] == ["mine"]
    assert "broken" in caplog.text


def test_the_default_is_the_first_of_its_list_that_is_there(cache, tiny_model, monkeypatch):
    bundled = cache / "bundled"
    for name in ("another", "photo-leech-mae"):
        shutil.copytree(tiny_model, bundled / name)
    monkeypatch.setattr(catalogue.hub, "PRETRAINED", bundled)
    assert catalogue.default_tokenizer() == "photo-leech-mae"
    shutil.copytree(tiny_model, bundled / "photo-leech")
    assert [entry.name for entry in catalogue.tokenizers()] == ["photo-leech", "photo-leech-mae", "another"]
    monkeypatch.setattr(catalogue.hub, "PRETRAINED", cache / "none")
    with pytest.raises(ModelError, match="train one"):
        catalogue.default_tokenizer()


def test_a_model_is_loaded_once_and_few_are_kept(cache, tiny_model, monkeypatch):
    monkeypatch.setattr(catalogue, "_loaded", type(catalogue._loaded)())
    names = [str(shutil.copytree(tiny_model, cache / f"m{i}")) for i in range(catalogue._LOADED_AT_ONCE + 1)]
    first = catalogue.load_tokenizer(names[0])
    assert catalogue.load_tokenizer(names[0]) is first
    for name in names[1:]:
        catalogue.load_tokenizer(name)
    assert len(catalogue._loaded) == catalogue._LOADED_AT_ONCE
    assert catalogue.load_tokenizer(names[0]) is not first
