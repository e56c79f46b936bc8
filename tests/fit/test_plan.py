"""Plans: one file format for all trainings, each launched by the same verb, and the file of a run repeats it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from training.compare import main as compare
from training.entropy import main as entropy
from workbench.cli.fit import app
from workbench.coding.tables import load_tables
from workbench.errors import InputError
from workbench.fit.engine.distributed import World
from workbench.fit.engine.settings import to_mapping
from workbench.fit.entropy.launch import EntropyPlan
from workbench.fit.generator.launch import GeneratorPlan
from workbench.fit.plan import PLANS, estimate, launch, plan_of, read_plan
from workbench.fit.studies.heads import HeadsPlan
from workbench.fit.studies.quantizers import Contestant, QuantizersPlan
from workbench.fit.tokenizer.launch import TokenizerPlan
from workbench.models.generator import Generator
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.models.presets import body_preset
from workbench.models.pyramid_tokenizer import PyramidTokenizer
from workbench.models.tokenizer import Tokenizer

GENERATOR = ("run.steps=2", "run.batch_size=2", "run.warmup_steps=1", "run.precision=float32", "views=1", "trunk=nano",
             'classes=["a", "b"]', 'head={"kind": "lattice", "components": 1}', "window=null")  # fmt: skip


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(2):
            pixels = rng.integers(0, 255, (24, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{number}.png")
    return str(tmp_path / "data")


@pytest.fixture
def pyramid(tmp_path):
    torch.manual_seed(0)
    quantizer = {"name": "multiscale", "base": "leech", "scales": [1, 2]}
    PyramidTokenizer(body=body_preset("conv-tiny-8"), quantizer=quantizer, name="pyramid").save_pretrained(
        tmp_path / "pyramid"
    )
    return str(tmp_path / "pyramid")


def fit(plan, tmp_path, *more):
    """The verb on a plan: what it printed as JSON."""
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    result = CliRunner().invoke(app, [str(tmp_path / "plan.json"), "--json", *more], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_every_task_has_a_plan_of_its_own():
    assert set(PLANS) == {"tokenizer", "generator", "entropy", "heads", "quantizers"}
    given = {
        "tokenizer": ({}, TokenizerPlan), "generator": ({"tokenizer": "x"}, GeneratorPlan),
        "entropy": ({"model": "x"}, EntropyPlan), "heads": ({}, HeadsPlan),
        "quantizers": ({"contestants": {"a": {"quantizer": {"name": "leech"}, "seeds": [1, 2]}}}, QuantizersPlan),
    }  # fmt: skip
    for task, (values, kind) in given.items():
        plan = plan_of({"task": task, "data": ["d"], "set": ["a=1"], **values})
        assert isinstance(plan, kind)
        assert (plan.data, plan.set, plan.out) == (("d",), ("a=1",), None)
        assert plan_of(json.loads(json.dumps({"task": plan.task, **to_mapping(plan)}))) == plan
    assert plan.chosen()["a"] == Contestant({"name": "leech"}, (1, 2))
    assert isinstance(plan_of({"data": ["d"]}), TokenizerPlan)
    assert isinstance(plan_of({"data": ["d"], "tokenizer": "x"}), GeneratorPlan)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"task": "generators", "data": []}, "did you mean 'generator'"),
        ({"task": "generator", "data": ["d"]}, "tokenizer"),
        ({"task": "entropy", "data": ["d"], "model": "x", "only": "contexts"}, "only"),
        ({"task": "heads", "data": ["d"], "heads": []}, "unknown key of the plan 'heads'"),
        ({"task": "quantizers", "data": ["d"], "contestants": {"a": {"seed": 1}}}, "contestants"),
    ],
)
def test_what_does_not_fit_is_named(values, said):
    with pytest.raises(InputError, match=said):
        plan_of(values)


def test_what_is_missing_or_for_one_process_is_said(pyramid):
    for plan in (TokenizerPlan(data=()), GeneratorPlan(data=(), tokenizer=pyramid), QuantizersPlan(data=())):
        with pytest.raises(InputError, match="no data given"):
            launch(plan)
    with pytest.raises(InputError, match="unknown head 'lattice'"):
        launch(HeadsPlan(data=("x",), only=("lattice",)))
    with pytest.raises(InputError, match="contestant"):
        launch(QuantizersPlan(data=("x",), only=("leach",)))
    with pytest.raises(InputError, match=r"for one process, got 2"):
        launch(HeadsPlan(data=("x",)), world=replace(World(), size=2))
    with pytest.raises(InputError, match="alone can be estimated"):
        estimate(HeadsPlan(data=("x",)))


def test_a_generators_run_repeats_itself(pictures, pyramid, tmp_path):
    plan = {"task": "generator", "recipe": "generator-smoke", "tokenizer": pyramid, "data": [pictures],
            "held_out": [pictures], "out": str(tmp_path / "run"), "set": list(GENERATOR)}  # fmt: skip
    said = fit(plan, tmp_path)
    assert (said["reason"], said["steps"]) == ("done", 2)
    again = read_plan(tmp_path / "run" / "run.json")
    assert isinstance(again, GeneratorPlan)
    assert again.full_recipe() == plan_of(plan).full_recipe()
    second = launch(replace(again, out=str(tmp_path / "second")))
    first, other = (Generator.from_pretrained(path) for path in (said["model"], str(second.model)))
    assert all(map(torch.equal, first.state_dict().values(), other.state_dict().values()))
    cost = fit(plan, tmp_path, "--dry-run")
    assert cost["steps"] == 2


def test_tables_of_a_codec(pictures, tmp_path, capsys):
    torch.manual_seed(0)
    model = GridTokenizer(body=body_preset("conv-tiny-8"), quantizer={"name": "leech"}, name="tiny")
    model.save_pretrained(tmp_path / "tiny")
    plan = {"task": "entropy", "model": str(tmp_path / "tiny"), "data": [pictures], "held_out": [pictures], "every": 2,
            "set": ["steps=2", "batch=8", "hidden=48"]}  # fmt: skip
    said = fit(plan, tmp_path)
    assert said["pictures"] == 4  # two of four, and mirrored
    assert set(said["scores"]) == {f"{name}_{what}" for name in ("static", "context") for what in ("bits", "share")}
    assert load_tables(tmp_path / "tiny").names == ("static", "context")
    with pytest.raises(SystemExit) as ended:
        entropy(["--model", str(tmp_path / "tiny"), "--data", pictures, "--only", "static", "--out", str(tmp_path)])
    assert ended.value.code == 0
    assert load_tables(tmp_path).names == ("static",)
    assert "tokens" in capsys.readouterr().out
    with pytest.raises(InputError, match="every=0"):
        launch(replace(plan_of(plan), every=0))


def test_a_study_of_quantizers_trains_and_the_script_measures(pictures, tmp_path):
    small = ("body=conv-tiny-8", "crops.side=16", "optimizer.kind=adamw", "base.steps=1", "base.batch_size=2",
             "base.precision=float32", "run.steps=1", "run.batch_size=2", "run.precision=float32")  # fmt: skip
    plan = {"task": "quantizers", "data": [pictures], "only": [], "out": str(tmp_path / "run"), "set": list(small),
            "contestants": {"four": {"quantizer": {"name": "leech4"}, "seeds": [0, 1]}}}  # fmt: skip
    said = fit(plan, tmp_path)
    assert (said["contestants"], said["trainings"]) == (1, 2)
    assert Tokenizer.from_pretrained(tmp_path / "run" / "models" / "compare-four").name == "compare-four"
    contestant = 'four={"quantizer": {"name": "leech4"}, "seeds": [0, 1]}'
    compare(["--data", pictures, "--held-out", f"own={pictures}", "--only", "--contestant", contestant,
             "--out", str(tmp_path / "run"), "--set", *small])  # fmt: skip
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert len(results["results"]["own"]["four"]) == 2
