"""The catalogue: every place is listed, a damaged model does not hide the others, and a model is loaded once."""

import shutil

import pytest

from workbench.errors import ModelError
from workbench.models import load as catalogue
from workbench.models.cache import RecentlyUsed
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.models.pyramid_tokenizer import PyramidTokenizer


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


@pytest.fixture
def kept(monkeypatch):
    monkeypatch.setattr(catalogue, "_loaded", RecentlyUsed(3))
    return catalogue._loaded


def test_a_model_is_loaded_once_whatever_it_is_called_and_as_what(kept, cache, tiny_model, tiny_generator, monkeypatch):
    shutil.copytree(tiny_model, cache / "mine")
    (cache / "link").symlink_to(cache / "mine")
    one = catalogue.load_tokenizer("mine")
    assert catalogue.load_tokenizer("mine", GridTokenizer) is one
    assert catalogue.load_tokenizer(str(cache / "mine")) is one
    monkeypatch.chdir(cache)
    assert catalogue.load_tokenizer("./mine") is one
    assert catalogue.load_tokenizer("link") is one
    assert len(kept) == 1
    pair = catalogue.load_generator(str(tiny_generator / "sketch"), str(tiny_generator / "pyramid"))
    assert catalogue.load_tokenizer(str(tiny_generator / "pyramid")) is pair.tokenizer
    assert len(kept) == 3


def test_a_model_of_another_kind_is_refused_before_it_is_loaded(kept, tiny_model, tiny_generator):
    with pytest.raises(ModelError, match="describes a 'tokenizer', expected a 'multiscale-tokenizer'"):
        catalogue.load_tokenizer(str(tiny_model), PyramidTokenizer)
    with pytest.raises(ModelError, match="describes a 'multiscale-tokenizer', expected a 'tokenizer'"):
        catalogue.load_tokenizer(str(tiny_generator / "pyramid"), GridTokenizer)
    with pytest.raises(ModelError, match="describes a 'generator', expected a 'tokenizer' or a 'multiscale-tokenizer'"):
        catalogue.load_tokenizer(str(tiny_generator / "sketch"))
    assert not len(kept)


def test_a_model_whose_files_were_replaced_is_loaded_again(kept, cache, tiny_model):
    folder = shutil.copytree(tiny_model, cache / "mine")
    first = catalogue.load_tokenizer("mine")
    first.save_pretrained(folder)
    again = catalogue.load_tokenizer("mine")
    assert again is not first
    assert catalogue.load_tokenizer("mine") is again


def test_of_the_models_kept_the_one_used_least_recently_goes_first(kept, cache, tiny_model):
    names = [str(shutil.copytree(tiny_model, cache / f"m{i}")) for i in range(4)]
    first, second, third = (catalogue.load_tokenizer(name) for name in names[:3])
    assert catalogue.load_tokenizer(names[0]) is first  # used again: now the second is the oldest
    catalogue.load_tokenizer(names[3])
    assert len(kept) == 3
    assert catalogue.load_tokenizer(names[0]) is first
    assert catalogue.load_tokenizer(names[2]) is third
    assert catalogue.load_tokenizer(names[1]) is not second
