"""The published generator's architecture gives what the published code gave, teacher-forced and step by step."""

import json

import pytest
import torch

from workbench.errors import ModelError
from workbench.models.generator import Generator
from workbench.models.heads.head import kept_shares, mixed
from workbench.models.pyramid_tokenizer import PyramidTokenizer
from workbench.models.sampling import CONTROL_PRESETS, Controls, sample
from workbench.models.transformer import Cache, Rotation
from workbench.models.upstream.convert import class_names, convert
from workbench.models.upstream.releases import RELEASES, SCALES

NAMES = {True: ("generator_small_shared", "infinitycc-12"), False: ("generator_small_unshared", "infinitycc-24")}
GUIDANCE, TOP_K, TOP_P = (1.0, 1.33, 1.67), (100, 90, 80), 0.95


@pytest.fixture(scope="module", params=[True, False], ids=["shared", "unshared"])
def published(request, recorded, book, small, full_head, tmp_path_factory):
    """A recorded generator with the recorded tokenizer, through one file as its authors write them."""
    folder, release = NAMES[request.param]
    data, tokenizer = recorded(folder), recorded("tokenizer_f16_small")
    path = tmp_path_factory.mktemp("generator")
    weights = {f"_fsdp_wrapped_module.{key}": value for key, value in full_head(data.weights).items()}
    trainer = {"vae_local": tokenizer.weights | {"quantizer.lfq.embedding.weight": book}, "gpt_fsdp": weights}
    torch.save({"args": {"tblr": 6e-4}, "epoch": 1, "trainer": trainer}, path / "ar-ckpt.pth")
    convert(RELEASES[release], path / "ar-ckpt.pth", path / "model", settings=small["generator"])
    model = Generator.from_pretrained(path / "model")
    return model, PyramidTokenizer.from_pretrained(model.config["tokenizer"]["name"]), data.io


def logits(model, features):
    return torch.nn.functional.linear(features, model.head.weight[:128], model.head.bias[:128])


def test_rotary_angles_agree_with_the_record(published):
    angles = Rotation(SCALES, 24, "corners").angles
    assert (angles.cos() - published[2]["rope_cos"]).abs().max() <= 5e-6
    assert (angles.sin() - published[2]["rope_sin"]).abs().max() <= 5e-6


@torch.inference_mode()
def test_inputs_agree_with_the_record(published):
    _, tokenizer, io = published
    rows = torch.cat([io[f"tokens_{scale}"] for scale in range(7)], dim=1).long()
    assert (tokenizer.quantizer.inputs(rows) - io["inputs"]).abs().max() <= 2e-6


@torch.inference_mode()
def test_the_teacher_forced_pass_agrees_with_the_record(published):
    model, _, io = published
    features = model.features(io["inputs"], io["labels"])
    assert (features - io["features"]).abs().max() <= 5e-5
    assert (logits(model, features) - io["logits"]).abs().max() <= 5e-5


@torch.inference_mode()
def test_each_block_agrees_with_the_record(published):
    model, _, io = published
    seen = []
    hooks = [b.register_forward_hook(lambda m, i, out: seen.append(out[:, :21])) for b in model.trunk.blocks]
    model.features(io["inputs"], io["labels"])
    for hook in hooks:
        hook.remove()
    assert (torch.stack(seen) - io["block_outputs"]).abs().max() <= 5e-5


@torch.inference_mode()
def test_steps_with_a_cache_agree_with_the_record(published):
    model, _, io = published
    cache, condition = Cache(), model.condition(io["labels"])
    for step, side in enumerate(SCALES[:3]):
        start = model.starts[step]
        inputs = None if step == 0 else io["inputs"][:, start - 1 : start - 1 + side**2]
        features = model.features_of_scale(step, inputs, condition, cache)
        assert (logits(model, features) - io[f"step_logits_{step}"]).abs().max() <= 5e-5


@torch.inference_mode()
def test_guidance_and_the_tokens_kept_agree_with_the_record(published):
    model, _, io = published
    condition = model.condition(torch.tensor([int(io["labels"][0]), -1]))
    cache, guided, kept = Cache(), [], []
    for step, side in enumerate(SCALES[:3]):
        start = model.starts[step]
        inputs = None if step == 0 else io["inputs"][:1, start - 1 : start - 1 + side**2].expand(2, -1, -1)
        features = model.features_of_scale(step, inputs, condition, cache)
        guided.append(logits(model, mixed(features[0], features[1], GUIDANCE[step])))
        shares, columns = kept_shares(guided[-1], top_k=TOP_K[step], top_p=TOP_P)
        kept.append(torch.zeros_like(guided[-1]).scatter(1, columns, (shares > 0).float()))
    assert (torch.cat(guided) - io["guided_logits"][0]).abs().max() <= 1e-4
    assert torch.equal(torch.cat(kept).byte(), io["guided_kept"][0])


def test_pictures_come_out_through_the_ordinary_sampler(published):
    model, tokenizer, _ = published
    controls = Controls(guidance=(1.0, 3.0), top_k=50, top_p=0.95)
    stages = list(
        sample(
            model,
            tokenizer.quantizer,
            torch.tensor([7]),
            generator=torch.Generator().manual_seed(0),
            controls=controls,
        )
    )
    assert [stage.indices.shape[1] for stage in stages] == [1, 5, 21, 57, 121, 265, 521]
    assert int(stages[-1].indices.max()) < 128
    images = tokenizer.detokenize(stages[-1].indices)
    assert images.shape == (1, 3, 256, 256)


def test_the_published_settings_have_a_value_for_each_scale():
    for name, guidance, k in [("published-12", [1, 3], [10000, 4000]), ("published-24", [1, 2.5], [2000, 200])]:
        values = [CONTROL_PRESETS[name].at(step, len(SCALES)) for step in range(len(SCALES))]
        assert [values[0].guidance, values[-1].guidance] == guidance
        assert [values[0].top_k, values[-1].top_k] == k
    assert [CONTROL_PRESETS["published-12"].at(step, 7).top_k for step in range(7)] == list(range(10000, 3999, -1000))


def test_classes_have_a_thousand_names():
    names = class_names()
    assert len(names) == len(set(names)) == 1000
    assert names[0] == "tench"
    assert names[207] == "golden retriever"


@pytest.fixture
def converted(recorded, small, full_head, tmp_path):
    """The directory of a converted generator."""
    data, tokenizer = recorded("generator_small_shared"), recorded("tokenizer_f16_small")
    trainer = {"vae_local": tokenizer.weights, "gpt_wo_ddp": full_head(data.weights)}
    torch.save({"trainer": trainer}, tmp_path / "g.pth")
    convert(RELEASES["infinitycc-12"], tmp_path / "g.pth", tmp_path / "infinitycc-12", settings=small["generator"])
    return tmp_path / "infinitycc-12"


def test_a_published_generator_loads_by_its_name_like_any_other(converted, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(converted.parent))
    model = Generator.from_pretrained("upstream:infinitycc-12")
    assert model.name == "infinitycc-12"
    assert len(model.classes) == 1000
    assert not model.training
    assert model.weights_hash
    assert isinstance(PyramidTokenizer.from_pretrained(model.config["tokenizer"]["name"]), PyramidTokenizer)


def test_a_converted_generator_is_in_the_lists_and_brings_its_own_tokenizer(converted, monkeypatch):
    from workbench.models import load as catalogue

    monkeypatch.setenv("WORKBENCH_CACHE", str(converted.parent))
    monkeypatch.setattr(catalogue, "_fetched", lambda: iter(()))
    monkeypatch.setattr("workbench.hub.download", lambda *_: pytest.fail("asked the network"))
    (entry,) = [entry for entry in catalogue.generators() if entry.place == "converted here"]
    assert entry.name == "infinitycc-12"
    for name in (entry.name, str(entry.path), "upstream:infinitycc-12"):
        pair = catalogue.load_generator(name)
        assert pair.generator.config["tokenizer"]["name"] == str(converted / "tokenizer")
        assert pair.tokenizer.name == "infinity_l24_stage1_xl"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trunk": {"width": "os.system", "depth": 1, "heads": 1}}, "do not describe a generator"),
        ({"trunk": {"_target_": "os.system"}}, "names code to run"),
        ({"hook": "os.system"}, "do not describe a generator"),
        ({"scales": [1, 2]}, "'levels.weight' has shape"),
        ({"tokenizer": {"code": "stranger"}}, "do not describe a generator"),
        ({"kind": "tokenizer"}, "expected a 'generator'"),
    ],
)
def test_hostile_configurations_are_refused(converted, change, message):
    path = converted / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | change), encoding="utf-8")
    with pytest.raises(ModelError, match=message):
        Generator.from_pretrained(converted)
