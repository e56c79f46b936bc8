"""Settings: what is misspelt or out of range is refused by name, what is given arrives."""

import pytest

from workbench.errors import InputError
from workbench.fit.engine.schedule import rate_factor
from workbench.fit.engine.settings import Run, differences, from_mapping, override, to_mapping
from workbench.fit.tokenizer.recipe import TokenizerRecipe

RECIPE = TokenizerRecipe(name="r", run=Run(steps=100))


def test_overrides_reach_nested_settings_and_leave_the_rest():
    changed = override(RECIPE, ["run.batch_size=64", "losses.features=squeezenet:a=b", "body_changes.width=32"])
    assert (changed.run.batch_size, changed.losses.features) == (64, "squeezenet:a=b")
    assert changed.body_changes == {"width": 32}
    assert differences(to_mapping(RECIPE), to_mapping(changed)) == [
        "body_changes.width: None → 32",
        "losses.features: leaf → squeezenet:a=b",
        "run.batch_size: 32 → 64",
    ]


def test_a_budget_in_minutes_replaces_one_in_steps_and_back():
    changed = override(RECIPE, ["run.minutes=2.5"])
    assert (changed.run.steps, changed.run.minutes) == (None, 2.5)
    assert override(changed, ["run.steps=7"]).run.minutes is None


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("run.step=3", "did you mean 'steps'"),
        ("rum.steps=3", "did you mean 'run'"),
        ("run.steps.more=3", "no parts"),
        ("run.steps", "not key=value"),
        ("run.steps=soon", "run.steps"),
        ("run.precision=float8", "float8"),
        ("run.hold=1", "hold=1"),
        ("run.batch_size=0", "batch_size=0"),
        ("losses.adversarial_from=2", "adversarial_from=2"),
    ],
)
def test_what_does_not_fit_is_named(pair, message):
    with pytest.raises(InputError, match=message):
        override(RECIPE, [pair])


def test_settings_survive_json():
    assert from_mapping(TokenizerRecipe, to_mapping(RECIPE)) == RECIPE


def test_unknown_keys_of_a_file_are_refused_at_any_depth():
    values = to_mapping(RECIPE)
    values["judge"]["optimizer"]["rates"] = 1
    with pytest.raises(InputError, match=r"in judge.optimizer 'rates'; did you mean 'rate'"):
        from_mapping(TokenizerRecipe, values)


def test_the_learning_rate_warms_up_holds_and_decays():
    run = Run(steps=1000, warmup_steps=10, warmup_from=0.1, hold=0.5, final=0.2)
    at = lambda step: rate_factor(run, step=step, fraction=step / 1000)  # noqa: E731
    assert at(0) == pytest.approx(0.1)
    assert at(5) == pytest.approx(0.55)
    assert at(10) == at(500) == 1
    assert at(750) == pytest.approx(0.6)
    assert at(1000) == pytest.approx(0.2)
    assert rate_factor(Run(steps=9, warmup_steps=0, schedule="linear", final=0), step=3, fraction=0.25) == 0.75
    assert rate_factor(Run(steps=9, warmup_steps=0, schedule="constant"), step=9, fraction=1) == 1
