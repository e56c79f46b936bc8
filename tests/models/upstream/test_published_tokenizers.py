"""The published tokenizers' architectures give what the published code gave, from the weights it gave it with."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from workbench.__main__ import main
from workbench.lattices.codes.registry import make_code
from workbench.models.pyramid_tokenizer import PyramidTokenizer
from workbench.models.tokenizer import Tokenizer
from workbench.models.upstream.convert import convert
from workbench.models.upstream.releases import RELEASES


@pytest.fixture(scope="module")
def f16(recorded, book, small, tmp_path_factory):
    """The recorded f16 tokenizer, through a file as its authors write them."""
    data = recorded("tokenizer_f16_small")
    folder = tmp_path_factory.mktemp("f16")
    aliases = {"quantizer.lfq.embedding.weight": book, "quantize.lfq.embedding.weight": book}
    torch.save({"vae": data.weights | aliases, "optimizer": {}}, folder / "model_step_1.ckpt")
    convert(RELEASES["infinity_l24_stage1_xl"], folder / "model_step_1.ckpt", folder / "model", settings=small["f16"])
    return PyramidTokenizer.from_pretrained(folder / "model"), data.io


@torch.inference_mode()
def test_the_f16_tokenizer_agrees_with_the_record(f16):
    model, io = f16
    images = (io["image"] + 1) / 2
    latents = model.encode(images)
    assert (latents - io["latent"]).abs().max() <= 2e-5
    result = model.quantizer(latents)
    grids = model.quantizer.split(result.indices)
    for scale, grid in enumerate(grids):
        assert torch.equal(grid.int(), io[f"indices_{scale}"]), scale
    assert (result.quantized - io["quantized"]).abs().max() <= 1e-5
    assert (model.quantizer.indices_to_codes(result.indices) - io["summed_codes"]).abs().max() <= 1e-5
    pixels = model.decode(result.quantized)
    assert ((2 * pixels - 1).clamp(-1, 1) - io["decoded"]).abs().max() <= 1e-4
    assert torch.equal(result.indices, model.tokenize(images))
    digits = torch.tensor(make_code("leech-published").integers)[result.indices] + 4
    assert torch.equal(digits, io["digits"])


@torch.inference_mode()
def test_the_f16_tokenizer_is_one_behind_the_ordinary_interface(f16):
    model, io = f16
    picture = ((io["image"][0] + 1) * 127.5).round().to(torch.uint8)
    back = model.reconstruct(picture)
    assert back.image.shape == (256, 256, 3)
    assert back.bits == pytest.approx(521 * 17.5846, abs=0.01)
    assert model.fingerprint == make_code("leech-published").fingerprint
    assert model.weights_hash


@pytest.fixture(scope="module")
def vit(recorded, book, small, tmp_path_factory):
    data = recorded("vit_small")
    folder = tmp_path_factory.mktemp("vit")
    state = {f"module.{key}": value for key, value in (data.weights | {"quantize.embedding.weight": book}).items()}
    torch.save({"iter": 3, "state_dict": state, "ema_state_dict": None, "best_fid": 1.0}, folder / "c.pt")
    convert(RELEASES["recon_vit_l24sq"], folder / "c.pt", folder / "model", settings=small["vit"])
    return Tokenizer.from_pretrained(folder / "model"), data.io


@torch.inference_mode()
def test_the_vit_agrees_with_the_record(vit):
    model, io = vit
    latents = model.encode((io["image"] + 1) / 2)
    assert (latents.flatten(2).mT - io["latent"]).abs().max() <= 2e-5
    result = model.quantizer(latents)
    assert torch.equal(result.indices.flatten(1).int(), io["indices"])
    assert (result.quantized.flatten(2).mT - io["quantized"]).abs().max() <= 1e-5
    pixels = 2 * model.decode(result.quantized) - 1
    assert (pixels - io["decoded_raw"]).abs().max() <= 2e-5
    assert (pixels.clamp(-1, 1) - io["decoded"]).abs().max() <= 2e-5


def test_a_published_tokenizer_loads_by_its_name_like_any_other(recorded, small, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    torch.save({"vae": recorded("tokenizer_f16_small").weights}, tmp_path / "model.ckpt")
    target = tmp_path / "cache" / "infinity_l24_stage1_xl"
    convert(RELEASES["infinity_l24_stage1_xl"], tmp_path / "model.ckpt", target, settings=small["f16"])
    model = Tokenizer.from_pretrained("upstream:infinity_l24_stage1_xl")
    assert isinstance(model, PyramidTokenizer)
    assert model.name == "infinity_l24_stage1_xl"
    assert not model.training


def test_a_published_tokenizer_works_on_the_command_line_with_nothing_else_changed(
    recorded, small, tmp_path, monkeypatch, capsys, caplog
):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    args = {"tblr": 6e-4, "opt": "dion"}
    torch.save({"vae": recorded("tokenizer_f16_small").weights, "args": args}, tmp_path / "model.ckpt")
    target = tmp_path / "cache" / "infinity_l24_stage1_xl"
    convert(RELEASES["infinity_l24_stage1_xl"], tmp_path / "model.ckpt", target, settings=small["f16"])
    assert "args.opt = dion" in caplog.text
    assert json.loads((target / "arguments.json").read_text()) == {f"args.{key}": value for key, value in args.items()}
    picture = np.random.default_rng(0).integers(0, 256, (300, 280, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    for number, name in enumerate(["upstream:infinity_l24_stage1_xl", "infinity_l24_stage1_xl"]):
        out = str(tmp_path / f"out{number}")
        with pytest.raises(SystemExit) as end:
            main(["reconstruct", str(tmp_path / "a.png"), "--out", out, "--model", name, "--json"])
        said = capsys.readouterr()
        assert end.value.code == 0, said.err
        result = json.loads(said.out)
        assert result["model"] == "infinity_l24_stage1_xl"
        (row,) = result["images"]
        assert (row["width"], row["height"], row["tokens"]) == (256, 256, 521)
    with pytest.raises(SystemExit):
        main(["models", "--json"])
    listed = {row["name"]: row for row in json.loads(capsys.readouterr().out)["models"]}
    assert listed["infinity_l24_stage1_xl"]["place"] == "converted here"
    assert listed["infinity_l24_stage1_xl"]["bits_per_token"] == pytest.approx(17.5846, abs=1e-4)
