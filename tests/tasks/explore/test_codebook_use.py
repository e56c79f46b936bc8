"""Codebook use: counts agree with the tokens, words with the decoder, and every plot with the table beside it."""

import csv
import json

import numpy as np
import pytest
import torch

from workbench.errors import InputError
from workbench.images.files import write_png
from workbench.images.sources import open_source
from workbench.models.tokenizer import Tokenizer, as_images
from workbench.tasks.explore.usage import KEPT, count_usage, highlight, stream_usage, training_curve
from workbench.tasks.explore.words import decode_words, map_words, principal_axes, sheet, with_umap
from workbench.tasks.plots import usage as usage_plots


@pytest.fixture(scope="module")
def tokenizer(tiny_model):
    return Tokenizer.from_pretrained(tiny_model)


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    folder = tmp_path_factory.mktemp("album")
    rng = np.random.default_rng(1)
    for i in range(KEPT + 2):
        write_png(rng.integers(0, 256, (33 + i, 50, 3), dtype=np.uint8), folder / f"{i:02}.png")
    (folder / "03b.png").write_text("no picture")
    return folder


@pytest.fixture(scope="module")
def report(album, tokenizer):
    return count_usage(open_source([album]), tokenizer)


def test_counts_are_those_of_the_tokens(report, album, tokenizer):
    expected = np.zeros(240, np.int64)
    for path in sorted(album.glob("*.png")):
        if path.name != "03b.png":
            tokens = tokenizer.tokenize(as_images(open_source([path])[0].image))
            expected += np.bincount(tokens.flatten().numpy(), minlength=240)
    assert np.array_equal(report.counter.counts, expected)
    assert report.pictures == KEPT + 2
    assert report.met == report.total == KEPT + 3
    assert len(report.kept) == KEPT
    assert len(report.passed_over) == 1
    assert "03b.png" in report.passed_over[0][1]


def test_shapes_share_out_all_tokens(report):
    assert [shape.name for shape in report.shapes] == ["(±1⁸)", "(±2², 0⁶)"]
    assert sum(shape.use.tokens for shape in report.shapes) == report.counter.tokens
    assert sum(shape.use.size for shape in report.shapes) == 240


def test_the_row_goes_into_json_and_names_the_top_words(report):
    row = json.loads(json.dumps(report.row(top=5)))
    assert [top["count"] for top in row["top"]] == sorted(report.counter.counts.tolist(), reverse=True)[:5]
    assert row["growth"][-1] == [row["tokens"], row["words"]]
    assert row["rank_frequency"]["count"][0] == row["top"][0]["count"]
    assert row["errors"][0]["error"].count("03b.png") == 1


def test_the_report_grows_picture_by_picture_and_a_limit_is_kept(album, tokenizer):
    tokens = []
    for report in stream_usage(open_source([album]), tokenizer, limit=3):
        tokens.append(report.counter.tokens)
    assert len(tokens) == 3
    assert tokens == sorted(set(tokens))
    seen = []
    count_usage(open_source([album]), tokenizer, limit=2, progress=lambda done, text: seen.append((done, text)))
    assert [done for done, _ in seen] == [0.5, 1.0]
    with pytest.raises(InputError, match="limit of 0"):
        count_usage(open_source([album]), tokenizer, limit=0)
    with pytest.raises(InputError, match="no picture could be counted"):
        count_usage(open_source([album / "03b.png"]), tokenizer)


def test_the_patches_of_a_word_are_lit_and_no_others(report):
    kept = report.kept[0]
    word = int(kept.indices[1, 2])
    lit = highlight(kept, word)
    assert lit.shape == kept.image.shape
    rows, columns = np.nonzero(kept.indices == word)
    same = np.zeros(kept.indices.shape, bool)
    same[rows, columns] = True
    mask = same.repeat(8, 0).repeat(8, 1)[: lit.shape[0], : lit.shape[1]]
    assert np.array_equal(lit[mask], kept.image[mask])
    assert (lit[~mask].astype(int) <= kept.image[~mask].max()).all()
    assert lit[~mask].mean() < 0.6 * kept.image[~mask].mean()


def test_a_word_is_decoded_as_the_model_decodes_it(tokenizer):
    patches = decode_words(np.array([0, 17, 17, 239]), tokenizer)
    assert patches.shape == (4, 8, 8, 3)
    assert np.array_equal(patches[1], patches[2])
    whole = tokenizer.detokenize(torch.full((1, 3, 3), 17))
    assert np.array_equal(patches[1], (whole[0, :, 8:16, 8:16] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy())


def test_a_map_keeps_every_word_once_and_its_sample_is_seeded(report, tokenizer):
    words, counts = report.counter.ranked()
    plain = map_words(words, counts, tokenizer, most=400)
    assert np.array_equal(plain.words, words)
    assert np.array_equal(plain.counts, counts)
    assert plain.points.shape == (len(words), 2)
    one, two = (map_words(words, counts, tokenizer, most=20, dimensions=3, seed=5) for _ in range(2))
    assert len(set(one.words.tolist())) == 20
    assert np.array_equal(one.points, two.points)
    assert np.array_equal(one.counts, report.counter.counts[one.words])
    for wrong in ({"dimensions": 4}, {"most": 3}, {"most": 10**6}):
        with pytest.raises(InputError):
            map_words(words, counts, tokenizer, **wrong)
    with pytest.raises(InputError, match="at least 4 words"):
        map_words(words[:3], counts[:3], tokenizer)


def test_principal_axes_are_those_of_most_variance():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(500, 6)) * [1, 9, 1, 4, 1, 1]
    seen = principal_axes(points, 2)
    assert abs(np.corrcoef(seen[:, 0], points[:, 1])[0, 1]) > 0.99
    assert abs(np.corrcoef(seen[:, 1], points[:, 3])[0, 1]) > 0.99
    assert np.array_equal(seen, principal_axes(points, 2))


@pytest.mark.slow
def test_umap_gives_every_word_a_place_and_the_same_one_for_the_same_seed(report, tokenizer):
    plain = map_words(*report.counter.ranked(), tokenizer, most=60)
    one, two = (with_umap(plain, tokenizer, seed=3) for _ in range(2))
    assert one.points.shape == plain.points.shape
    assert np.isfinite(one.points).all()
    assert np.array_equal(one.points, two.points)
    assert one.method == "UMAP"


def test_a_sheet_holds_the_patches_in_rows():
    patches = np.arange(5 * 2 * 2 * 3, dtype=np.uint8).reshape(5, 2, 2, 3)
    whole = sheet(patches, 3)
    assert whole.shape == (4, 6, 3)
    assert np.array_equal(whole[2:4, 2:4], patches[4])
    assert not whole[2:4, 4:6].any()


def test_plots_are_saved_with_their_tables(report, tokenizer, tmp_path):
    plots = usage_plots.usage_plots(report)
    view = map_words(*report.counter.ranked(), tokenizer, most=400)
    plots.append(usage_plots.map_plot(view, colouring="shape", shape_names=["one", "two"]))
    assert [plot.name for plot in plots] == ["rank-frequency", "words-seen", "shapes", "map"]
    files = usage_plots.save_plots(plots, tmp_path / "out")
    assert sorted(path.suffix for path in files) == [".csv"] * 4 + [".html"] * 4
    for plot in plots:
        with (tmp_path / "out" / f"{plot.name}.csv").open(newline="") as file:
            rows = list(csv.reader(file))
        assert rows[0] == list(plot.columns)
        assert len(rows) == len(plot.rows) + 1
        page = (tmp_path / "out" / f"{plot.name}.html").read_text(encoding="utf-8")
        assert 'src="http' not in page, "a page that needs the network"
    assert sum(len(trace.x) for trace in plots[-1].figure.data) == len(view.words)
    with pytest.raises(InputError, match="coloured by"):
        usage_plots.map_plot(view, colouring="taste")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        usage_plots.save_plots(plots, tmp_path / "file" / "out")


def test_use_over_training_is_read_from_a_log(tmp_path):
    log = tmp_path / "log.jsonl"
    lines = [{"step": 1, "loss": 2.0}, {"step": 5, "evaluation": {"psnr": 20.0, "words": 90.0, "entropy_bits": 4.5}}]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    curve = training_curve(tmp_path)
    assert curve == [{"step": 5, "words": 90.0, "entropy_bits": 4.5}]
    assert usage_plots.curve_plot(curve, title="t").rows == [[5, 90.0, 4.5]]
    log.write_text(json.dumps(lines[0]) + "\n")
    with pytest.raises(InputError, match="no log with an evaluation"):
        training_curve(tmp_path)
