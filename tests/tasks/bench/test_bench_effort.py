"""What `bench effort` tells: a row for each effort, the first the plain one, each no worse than the one before."""

import json

import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from workbench.__main__ import main
from workbench.errors import InputError
from workbench.models.refine import EFFORTS
from workbench.tasks.bench.effort import measure_effort
from workbench.tasks.compress.codec import codec_for


def test_each_effort_beside_the_plain_one():
    picture = load_sample_image("flower.jpg")[200:264, 250:330].copy()
    costs = measure_effort([picture], codec_for(quality=2), efforts=(4, 1))
    assert [(cost.effort, cost.rounds) for cost in costs] == [(0, 0), (1, EFFORTS[1]), (4, EFFORTS[4])]
    assert costs[0].times_plain == 1
    assert costs[0].psnr < costs[1].psnr < costs[2].psnr
    assert costs[1].times_plain < costs[2].times_plain
    with pytest.raises(InputError, match="no picture"):
        measure_effort([], codec_for(quality=2))


def test_the_command(tmp_path, capsys):
    Image.fromarray(load_sample_image("china.jpg")[100:132, 100:148].copy()).save(tmp_path / "a.png")
    with pytest.raises(SystemExit) as end:
        main(["bench", "effort", str(tmp_path), "--quality", "2", "--effort", "1", "--json"])
    assert end.value.code == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["effort"] for row in rows] == [0, 1]
