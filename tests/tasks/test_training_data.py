"""Pictures to train on: archives are unpacked under our own names and within limits, drawn sets are made once."""

import contextlib
import io
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from workbench.errors import InputError
from workbench.images.files import read_image
from workbench.images.sources import open_source
from workbench.tasks.runs import data as training_data
from workbench.tasks.runs.data import held_out_pictures, synthetic_folder, unpack


def png(value=7):
    file = io.BytesIO()
    Image.new("RGB", (9, 6), (value, 2, 3)).save(file, format="PNG")
    return file.getvalue()


def make_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def make_tar(path, members, mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


MEMBERS = {
    "set/cats/a.png": png(1),
    "set/dogs/b.PNG": png(2),
    "../../up.png": png(3),
    "/etc/abs.png": png(4),
    "set/we ird;$(x)/c.png": png(5),
    "plain.png": png(6),
    "notes.txt": b"text",
    "set/.hidden.png": png(),
    "__MACOSX/set/cats/._a.png": b"resource",
}


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_pictures_come_out_under_names_of_our_own(tmp_path, kind):
    archive = tmp_path / f"set.{kind}"
    make_zip(archive, MEMBERS) if kind == "zip" else make_tar(archive, MEMBERS, "w:gz" if kind == "tar.gz" else "w")
    out = tmp_path / "deep" / "out"
    assert unpack(archive, out) == 6
    files = sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file())
    assert sorted(f.rpartition("/")[0] for f in files) == ["", "", "etc", "set/cats", "set/dogs", "set/we-ird-x"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deep", archive.name]
    assert {int(read_image(out / f)[0, 0, 0]) for f in files} == {1, 2, 3, 4, 5, 6}
    assert open_source([out]).class_names is not None


def test_an_archive_has_the_classes_of_the_folder_it_was_made_from(tmp_path):
    members = {f"data/v.2/{name}/{number}.png": png(number) for number, name in enumerate(("cat", "dog") * 6)}
    archive = make_zip(
        tmp_path / "set.zip", members | {"data/v.2/cover.png": png(50), "data/v.2/@eaDir/x.png": png(60)}
    )
    said = []
    assert unpack(archive, tmp_path / "out") == 13
    source = open_source(tmp_path / "out", on_error=lambda key, error: said.append(key))
    assert source.class_names == ("cat", "dog")
    assert (len(source), len(said)) == (12, 1)


def test_links_of_a_tar_are_not_followed(tmp_path):
    archive = tmp_path / "links.tar"
    with tarfile.open(archive, "w") as file:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
            info = tarfile.TarInfo(f"set/{kind.decode()}.png")
            info.type, info.linkname = kind, "/etc/passwd"
            file.addfile(info)
    with pytest.raises(InputError, match="holds no picture"):
        unpack(archive, tmp_path / "out")


def test_bombs_and_crowds_are_refused_and_leave_nothing(tmp_path, monkeypatch):
    out = tmp_path / "place" / "out"
    zeros = bytes(3 << 20)
    bombs = [
        make_zip(tmp_path / "bomb.zip", {"a.png": zeros}),
        make_tar(tmp_path / "bomb.tar.gz", {"a.png": zeros}, "w:gz"),
        make_tar(tmp_path / "aside.tar.gz", {"skipped.bin": zeros, "a.png": png()}, "w:gz"),
        make_tar(tmp_path / "bomb.tar.xz", {"a.png": zeros}, "w:xz"),
        tmp_path / "header.tar.gz",
    ]
    with tarfile.open(bombs[-1], "w:gz", format=tarfile.PAX_FORMAT, pax_headers={"comment": "0" * len(zeros)}) as file:
        file.addfile(tarfile.TarInfo("a.png"))
    monkeypatch.setattr(training_data, "MOST_BYTES", 1 << 20)
    for bomb in bombs:
        assert bomb.stat().st_size < 20_000
        with pytest.raises(InputError, match=r"more than 1 MiB"):
            unpack(bomb, out)
    monkeypatch.setattr(training_data, "MOST_MEMBERS", 2)
    for crowd in (
        make_zip(tmp_path / "crowd.zip", {f"{i}.txt": b"" for i in range(3)}),
        make_tar(tmp_path / "crowd.tar", {f"{i}.png": png() for i in range(3)}),
    ):
        with pytest.raises(InputError, match="more than 2 files"):
            unpack(crowd, out)
    monkeypatch.setattr(training_data, "MOST_ARCHIVE", 100)
    with pytest.raises(InputError, match="too much for an upload"):
        unpack(bombs[0], out)
    assert list(out.parent.iterdir()) == []


def test_thousands_of_members_are_taken(tmp_path):
    names = [f"{'deep/' * (i % 7)}{i % 3}/{i}.png" for i in range(2000)]
    for archive in (
        make_zip(tmp_path / "many.zip", dict.fromkeys(names, b"x")),
        make_tar(tmp_path / "many.tar", dict.fromkeys(names, b"x")),
    ):
        assert unpack(archive, tmp_path / f"out-{archive.suffix}") == 2000


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_whatever_the_bytes_say_it_is_pictures_or_a_message(tmp_path, kind):
    archive = tmp_path / f"set.{kind}"
    make_zip(archive, MEMBERS) if kind == "zip" else make_tar(archive, MEMBERS, "w:gz" if kind == "tar.gz" else "w")
    whole, luck, refused = archive.read_bytes(), np.random.default_rng(1), 0
    for number in range(150):
        content = bytearray(whole)
        for place in luck.integers(len(whole), size=luck.integers(1, 8)):
            content[place] = luck.integers(256)
        archive.write_bytes(bytes(content[: luck.integers(len(whole))] if number % 3 == 0 else content))
        out = tmp_path / "outs" / str(number)
        with contextlib.suppress(InputError):
            unpack(archive, out)
        refused += not out.exists()
    assert refused
    assert sorted(p.name for p in tmp_path.iterdir()) == ["outs", archive.name]
    assert not [p for p in (tmp_path / "outs").iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut"])
def test_what_is_no_archive_is_named(tmp_path, content):
    path = tmp_path / "thing.zip"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"thing\.zip"):
        unpack(path, tmp_path / "out")


def test_a_damaged_member_is_named(tmp_path):
    path = make_zip(tmp_path / "set.zip", {"a.png": np.random.default_rng(0).bytes(5000)})
    content = bytearray(path.read_bytes())
    content[2000] ^= 255
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        unpack(path, tmp_path / "out")


def test_a_drawn_set_is_made_once_and_holds_every_class(tmp_path):
    seen = []
    place = synthetic_folder(tmp_path, count=24, seed=3, progress=lambda share, text: seen.append(share))
    pictures = open_source([place])
    assert len(pictures) == 24
    assert len(pictures.class_names) == 12
    assert seen == sorted(seen)
    seen.clear()
    assert synthetic_folder(tmp_path, count=24, seed=3, progress=lambda share, text: seen.append(share)) == place
    assert not seen


def test_held_out_pictures_are_the_examples(tmp_path):
    files = held_out_pictures(tmp_path / "held-out")
    assert len(files) >= 4
    for path in files:
        assert read_image(path).ndim == 3
