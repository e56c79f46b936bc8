"""Live runs without a browser: a run says what went wrong and never fails, stops when told, and shares what it may."""

import re

import gradio as gr
import pytest

from workbench.errors import InputError
from workbench.ui import live
from workbench.ui.pictures import example_name, example_pictures


def state_of(status):
    return re.search(r'data-state="(\w+)"', status)[1]


def answers(function, *inputs, shared=None):
    run = live._run(function, 2, shared=shared)
    return list(run(lambda fraction, desc: None, *inputs))


def test_an_error_is_the_last_thing_a_run_says_as_text():
    def fails(value, progress):
        yield "a", "b"
        raise InputError("<b>wrong</b>")

    found = answers(fails, 1)
    assert [state_of(status) for status, *_ in found] == ["running", "going", "error"]
    assert found[1][1:] == ("a", "b")
    assert found[2][1:] == (gr.skip(), gr.skip())
    assert "<b>" not in found[2][0]
    assert not live._RUNNING


def test_a_run_that_is_told_to_stop_ends_and_no_other():
    def long(value, progress):
        live._stop(f"elsewhere {' '.join(live._RUNNING)}")
        progress(0.5, "half")
        yield "a", "b"

    assert [state_of(status) for status, *_ in answers(long, 1)] == ["running", "stopped"]


def test_results_of_the_same_inputs_are_shared_with_the_parts_that_stayed():
    calls = []

    def counted(value, progress):
        calls.append(value)
        yield value, "first"
        yield gr.skip(), "second"

    for _ in range(2):
        found = answers(counted, 7, shared=live.always)
    assert calls == [7]
    assert found[1][1:] == (7, "second")
    answers(counted, 8, shared=live.always)
    assert calls == [7, 8]


@pytest.mark.parametrize("change", [b"", b"more"])
def test_only_an_example_to_the_byte_is_one(tmp_path, change):
    example = example_pictures()[0]
    copy = tmp_path / "mine.jpg"
    copy.write_bytes(example.read_bytes() + change)
    assert example_name(str(copy)) == (None if change else example.stem)
    assert live.by_example([str(copy), 1]) == (None if change else (example.stem, 1))
