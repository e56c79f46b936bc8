"""Authors' files: every key finds its place, and whatever is not as expected is refused before it becomes a model."""

import argparse
import json
import os
import pickle

import pytest
import torch

from workbench.errors import ModelError
from workbench.models.generator import Generator
from workbench.models.memory import announce
from workbench.models.presets import body_preset, make_body
from workbench.models.tokenizer import Tokenizer
from workbench.models.upstream.checkpoint import find_state, flat_arguments, read_checkpoint
from workbench.models.upstream.convert import convert, directory_of, parse_name
from workbench.models.upstream.keys import adapted, map_weights, our_names
from workbench.models.upstream.releases import RELEASES, SCALES


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


# ---- keys


@pytest.mark.parametrize(
    ("published", "name", "count"),
    [
        ("tokenizer_f16", "infinity_l24_stage1_xl_vf", 268),
        ("gen_layer12_shared_aln", "infinitycc-12", 155 - 12),
        ("gen_layer24_unshared_aln", "infinitycc-24", 321 - 24),
        ("recon_vit_l24sq", "recon_vit_l24sq", 307),
    ],
)
def test_every_published_key_has_a_place_of_its_shape(shared, published, name, count):
    shapes = json.loads((shared / "published_checkpoint_keys.json").read_text(encoding="utf-8"))[published]
    entry = RELEASES[name]
    if entry.kind == "generator":
        config = {
            "trunk": entry.trunk,
            "head": {"kind": "full"},
            "scales": SCALES,
            "classes": [str(i) for i in range(1000)],
        }
        expected = Generator.empty(config | {"tokenizer": {"code": "leech-published"}}).state_dict()
    else:
        with torch.device("meta"):
            body = make_body(body_preset("vit-base-8" if entry.kind == "vit" else "f16-base"), dimension=24)
        parts = {"encoder": body.encoder, "decoder": body.decoder}
        expected = {f"{key}.{k}": v for key, part in parts.items() for k, v in part.state_dict().items()}
    names = {key: ours for key, ours in our_names(shapes, entry.table).items() if ours is not None}
    assert len(names) == len(set(names.values())) == count
    assert set(names.values()) == set(expected)
    for key, ours in names.items():
        shape = adapted(key, torch.empty(shapes[key], device="meta"), len(expected[ours])).shape
        assert [n for n in shape if n != 1] == [n for n in expected[ours].shape if n != 1], key


def spoil(state, key, change):
    changed = dict(state)
    value = change(changed.pop(key))
    return changed | ({key: value} if value is not None else {})


NORM = "decoder.norm_out.norm.weight"
SPOILED = {
    "missing": (lambda s: spoil(s, NORM, lambda v: None), r"lacks 1 tensors, among them .*decoder\.norm_out\.weight"),
    "left over": (lambda s: s | {"encoder.attention.weight": s[NORM]}, r"'encoder\.attention\.weight'.*no part"),
    "twice": (lambda s: s | {"decoder.norm_out.weight": s[NORM]}, "there twice under different names"),
    "shape": (lambda s: spoil(s, NORM, lambda v: v[:-1]), r"has shape \(31,\), expected \(32,\)"),
    "NaN": (lambda s: spoil(s, NORM, lambda v: v * float("nan")), "32 numbers that are not finite"),
    "integers": (lambda s: spoil(s, NORM, lambda v: v.long()), r"is torch\.int64, expected floats"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_weights_that_do_not_fit_are_refused(recorded, small, tmp_path, case):
    change, message = SPOILED[case]
    torch.save({"vae": change(recorded("tokenizer_f16_small").weights)}, tmp_path / "m.ckpt")
    with pytest.raises(ModelError, match=message):
        convert(RELEASES["infinity_l24_stage1_xl"], tmp_path / "m.ckpt", tmp_path / "out", settings=small["f16"])
    assert [p.name for p in tmp_path.iterdir()] == ["m.ckpt"]


BOOKS = {
    "two rows change places": (lambda b: b[torch.cat([torch.tensor([1, 0]), torch.arange(2, len(b))])], "row 0"),
    "one sign": (lambda b: torch.cat([b[:100_000], -b[100_000:100_001], b[100_001:]]), "1 rows differ.*row 100000"),
    "too short": (lambda b: b[:-1], "has shape"),
    "NaN": (lambda b: b * float("nan"), "196560 rows differ"),
}


@pytest.mark.parametrize("case", BOOKS)
def test_a_codebook_that_is_not_ours_is_refused(recorded, book, case, tmp_path):
    from workbench.lattices.codes.registry import make_code

    change, message = BOOKS[case]
    state = {"quantizer.lfq.embedding.weight": change(book)}
    with pytest.raises(ModelError, match=message):
        map_weights(state, (), {}, make_code("leech-published"), tmp_path)


def test_a_key_bias_that_is_not_zero_is_refused(tmp_path):
    from workbench.lattices.codes.registry import make_code

    state = {"blocks.0.attn.zero_k_bias": torch.tensor([0.0, 1e-3])}
    with pytest.raises(ModelError, match="must be zero"):
        map_weights(state, (), {}, make_code("leech-published"), tmp_path)


# ---- files


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


class Settings:
    """A class that no list knows."""


@pytest.mark.parametrize("place", ["args", "vae", "top"])
def test_a_payload_is_refused_by_name_and_never_runs(tmp_path, place):
    target, path = tmp_path / "ran", tmp_path / "m.pth"
    payload = Payload(target)
    torch.save(payload if place == "top" else {place: {"w": payload}}, path)
    with pytest.raises(ModelError, match=r"posix\.system|nt\.system"):
        read_checkpoint(path)
    assert not target.exists()


def test_a_class_outside_the_list_is_refused_by_name(tmp_path):
    torch.save({"vae": {"w": torch.ones(1)}, "args": Settings()}, tmp_path / "m.pth")
    with pytest.raises(ModelError, match=rf"names {Settings.__module__}\.Settings, which could run code"):
        read_checkpoint(tmp_path / "m.pth")


def test_settings_of_harmless_classes_are_read_as_values(tmp_path):
    args = argparse.Namespace(tblr=6e-4, opt="dion", betas=(0.9, 0.95), nested={"a": None}, path=tmp_path)
    torch.save({"args": args, "trainer": {"config": {"depth": 12}, "gpt_fsdp": {"w": torch.ones(1)}}}, tmp_path / "m")
    loaded = read_checkpoint(tmp_path / "m")
    assert not isinstance(loaded["args"], argparse.Namespace)
    assert flat_arguments(loaded) == {
        "args.betas": [0.9, 0.95],
        "args.nested.a": None,
        "args.opt": "dion",
        "args.path": "/" + str(tmp_path),
        "args.tblr": 6e-4,
        "trainer.depth": 12,
    }


DAMAGED = {
    "a bare pickle": lambda p: p.write_bytes(pickle.dumps({"w": 1})),
    "nothing": lambda p: p.write_bytes(b""),
    "half a file": lambda p: (torch.save({"w": torch.ones(1000)}, p), p.write_bytes(p.read_bytes()[:2000])),
    "no dictionary": lambda p: torch.save([torch.ones(1)], p),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_files_are_refused(tmp_path, case):
    DAMAGED[case](tmp_path / "m.pth")
    with pytest.raises(ModelError, match=r"m\.pth"):
        read_checkpoint(tmp_path / "m.pth")


def test_a_missing_file_is_named(cache, tmp_path):
    with pytest.raises(ModelError, match=r"cannot read .*absent\.ckpt"):
        Tokenizer.from_pretrained(f"upstream:infinity_l24_stage1_xl@{tmp_path / 'absent.ckpt'}")


def test_weights_are_found_in_the_preferred_place_without_wrappers(tmp_path):
    one, two = torch.ones(1), torch.zeros(1)
    loaded = {"ema_state_dict": None, "state_dict": {"module.module.a": one, "_orig_mod.b": two}}
    assert find_state(loaded, (("ema_state_dict",), ("state_dict",)), tmp_path) == {"a": one, "b": two}
    with pytest.raises(ModelError, match="stands twice"):
        find_state({"a": one, "module.a": two}, ((),), tmp_path)
    with pytest.raises(ModelError, match="no weights under vae; it holds other"):
        find_state({"other": {"a": one}}, (("vae",),), tmp_path)
    with pytest.raises(ModelError, match="entry 'step' is a int"):
        find_state({"a": one, "step": 3}, ((),), tmp_path)


def test_sharded_tensors_are_taken_whole_or_refused(tmp_path):
    class Shard(torch.Tensor):
        """Has a local part, as tensors sharded over processes do."""

    whole = torch.ones(4).as_subclass(Shard)
    whole._local_tensor = torch.arange(4.0)
    assert find_state({"a": whole}, ((),), tmp_path)["a"].tolist() == [0, 1, 2, 3]
    whole._local_tensor = torch.arange(2.0)
    with pytest.raises(ModelError, match=r"'a' is one shard, \(2,\) of \(4,\)"):
        find_state({"a": whole}, ((),), tmp_path)


# ---- names


def test_names_are_parsed_and_unknown_ones_meet_a_proposal():
    entry, file = parse_name("upstream:infinitycc-12@/a/b@c.pth")
    assert (entry.name, str(file)) == ("infinitycc-12", os.path.normpath("/a/b@c.pth"))
    with pytest.raises(ModelError, match="did you mean 'infinitycc-12'"):
        parse_name("upstream:infinitycc-13")
    with pytest.raises(ModelError, match="is a generator, expected a tokenizer"):
        Tokenizer.from_pretrained("upstream:infinitycc-12")
    with pytest.raises(ModelError, match="is a tokenizer, expected a generator"):
        Generator.from_pretrained("upstream:infinity_l24_stage1_xl")


def test_unpublished_weights_ask_for_a_file_and_not_for_the_network(cache, monkeypatch):
    monkeypatch.setattr("workbench.hub.download", lambda *_: pytest.fail("asked the network"))
    with pytest.raises(ModelError, match="upstream:recon_vit_l24sq@FILE"):
        Tokenizer.from_pretrained("upstream:recon_vit_l24sq")


def test_a_file_that_cannot_be_fetched_names_the_way_round(cache, monkeypatch):
    def fail(repository, file):
        raise ModelError(f"cannot fetch {file} of {repository}")

    monkeypatch.setattr("workbench.hub.download", fail)
    with pytest.raises(ModelError, match=r"zhaoyue-zephyrus/.*upstream:infinitycc-24@/path/to/ar-ckpt-giter027K"):
        Generator.from_pretrained("upstream:infinitycc-24")


def test_conversion_happens_once(cache, monkeypatch, tmp_path):
    made = []

    def stand_in(entry, file, target):
        made.append(target)
        target.mkdir(parents=True)
        for name in ("config.json", "model.safetensors"):
            (target / name).touch()

    monkeypatch.setattr("workbench.models.upstream.convert.convert", stand_in)
    (tmp_path / "a.pth").write_bytes(b"1")
    entry = RELEASES["infinitycc-12"]
    first = directory_of(entry, tmp_path / "a.pth")
    assert directory_of(entry, tmp_path / "a.pth") == first
    (tmp_path / "a.pth").write_bytes(b"22")
    assert directory_of(entry, tmp_path / "a.pth") != first
    assert len(made) == 2
    assert first.parent == cache


def test_big_loads_are_announced_and_small_ones_are_not(caplog):
    announce("loading x", 1000)
    assert not caplog.records
    announce("loading x", 5_300_000_000)
    assert "loading x: 5.3 GB to read, 5.3 GB of memory" in caplog.text
