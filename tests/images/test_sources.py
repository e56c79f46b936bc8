"""A source is one sequence, whatever it is made of, and what cannot be read is named and passed over."""

import io
import os
import tarfile
import threading

import numpy as np
import pytest
from PIL import Image

from workbench.errors import ImageError, InputError
from workbench.images.sources import open_source


def coloured(value, size=(5, 7)):
    return np.full((*size, 3), value, np.uint8)


def content(value):
    buffer = io.BytesIO()
    Image.fromarray(coloured(value)).save(buffer, "PNG")
    return buffer.getvalue()


def put(folder, files):
    for name, value in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(value if isinstance(value, bytes) else content(value))
    return folder


def shard(path, members):
    with tarfile.open(path, "w") as archive:
        for name, value in members:
            member = tarfile.TarInfo(name)
            member.size = len(value)
            archive.addfile(member, io.BytesIO(value))
    return path


class Log(list):
    def __call__(self, key, error):
        assert isinstance(error, ImageError)
        self.append((key, str(error)))


class TestFolders:
    def test_pictures_come_sorted_and_without_classes(self, tmp_path):
        source = open_source(put(tmp_path, {"b.png": 2, "a.png": 1, "deep/c.png": 3, "notes.txt": b"x"}))
        assert len(source) == 3
        assert [(s.key, int(s.image[0, 0, 0]), s.label) for s in source] == [
            ("a.png", 1, None),
            ("b.png", 2, None),
            ("deep/c.png", 3, None),
        ]
        assert source.class_names == ()
        assert source.labels.tolist() == [-1, -1, -1]

    def test_sub_folders_are_classes(self, tmp_path):
        source = open_source(put(tmp_path, {"dog/1.png": 1, "cat/x/2.png": 2, "cat/3.png": 3}))
        assert source.class_names == ("cat", "dog")
        assert [(s.key, s.label) for s in source] == [("cat/3.png", 0), ("cat/x/2.png", 0), ("dog/1.png", 1)]

    def test_one_sub_folder_is_no_class(self, tmp_path):
        assert open_source(put(tmp_path, {"all/1.png": 1, "all/2.png": 2})).class_names == ()

    def test_two_folders_share_their_classes_by_name(self, tmp_path):
        put(tmp_path, {"one/cat/1.png": 1, "one/dog/2.png": 2, "two/ant/3.png": 3, "two/cat/4.png": 4})
        source = open_source([tmp_path / "one", tmp_path / "two"])
        assert source.class_names == ("ant", "cat", "dog")
        assert source.labels.tolist() == [1, 2, 0, 1]

    def test_given_names_fix_the_order(self, tmp_path):
        put(tmp_path, {"cat/1.png": 1, "dog/2.png": 2})
        assert open_source(tmp_path, class_names=["dog", "emu", "cat"]).labels.tolist() == [2, 0]
        with pytest.raises(InputError, match="unknown class folder 'cat'"):
            _ = open_source(tmp_path, class_names=["dog", "cats"]).labels


class TestShards:
    def test_keys_pictures_and_classes(self, tmp_path):
        path = shard(
            tmp_path / "a.tar",
            [
                ("x.png", content(1)),
                ("x.cls", b"2"),
                ("sub/y.cls", b"0\n"),
                ("sub/y.json", b"{}"),
                ("sub/y.PNG", content(2)),
                ("z.seg.png", content(9)),
                ("z.png", content(3)),
            ],
        )
        source = open_source(path)
        assert [(s.key, int(s.image[0, 0, 0]), s.label) for s in source] == [
            ("x", 1, 2),
            ("sub/y", 2, 0),
            ("z.seg", 9, None),
            ("z", 3, None),
        ]
        assert source.class_names == ("0", "1", "2")
        assert open_source(path, class_names=["a", "b", "c"]).class_names == ("a", "b", "c")
        with pytest.raises(InputError, match="a shard holds class 2"):
            _ = open_source(path, class_names=["a", "b"]).class_names

    def test_any_sample_is_at_hand_in_any_order_from_any_thread(self, tmp_path):
        source = open_source(shard(tmp_path / "a.tar", [(f"{i}.png", content(i)) for i in range(40)]))
        seen = {}

        def read(start):
            for i in range(start, 40, 4):
                seen[i] = int(source[i].image[0, 0, 0])

        threads = [threading.Thread(target=read, args=(start,)) for start in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert seen == {i: i for i in range(40)}
        with pytest.raises(IndexError):
            source[40]

    def test_a_shard_cut_short_gives_what_is_there(self, tmp_path):
        path = shard(tmp_path / "a.tar", [(f"{i}.png", content(i)) for i in range(5)])
        whole = path.read_bytes()
        for cut in (512 * 3 - 1, 512 * 5 + 30, 512 * 4 + 100, 512 * 4):
            path.write_bytes(whole[:cut])
            log = Log()
            keys = [s.key for s in open_source(path, on_error=log)]
            assert keys == [str(i) for i in range(len(keys))]
            assert 1 <= len(keys) < 5
            assert log

    def test_what_is_no_shard_is_reported(self, tmp_path):
        (tmp_path / "bad.tar").write_bytes(b"\x1f\x8b" + bytes(2000))
        put(tmp_path, {"a.png": 1})
        log = Log()
        assert [s.key for s in open_source([tmp_path / "bad.tar", tmp_path / "a.png"], on_error=log)] == ["a.png"]
        assert "not a plain tar" in log[0][1]

    @pytest.mark.parametrize("text", [b"-1", b"cat", b"1" * 300, b"", "²".encode()])
    def test_a_class_that_is_no_number_is_reported(self, tmp_path, text):
        log = Log()
        source = open_source(shard(tmp_path / "a.tar", [("x.png", content(1)), ("x.cls", text)]), on_error=log)
        assert [s.label for s in source] == [None]
        assert "not a number" in log[0][1]

    def test_links_inside_a_shard_lead_nowhere(self, tmp_path):
        (tmp_path / "secret.png").write_bytes(content(7))
        with tarfile.open(tmp_path / "a.tar", "w") as archive:
            link = tarfile.TarInfo("x.png")
            link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret.png")
            archive.addfile(link)
            member = tarfile.TarInfo("y.png")
            member.size = len(content(1))
            archive.addfile(member, io.BytesIO(content(1)))
        source = open_source(tmp_path / "a.tar")
        assert len(source) == 1
        assert [s.key for s in source] == ["y"]


class TestMixtures:
    def test_all_kinds_together_in_the_order_given(self, tmp_path):
        put(tmp_path, {"folder/cat/1.png": 1, "folder/dog/2.png": 2, "lone.png": 3})
        path = shard(tmp_path / "s.tar", [("k.png", content(4)), ("k.cls", b"1")])
        source = open_source([path, tmp_path / "lone.png", tmp_path / "folder"])
        assert source.keys == ("k", "lone.png", "cat/1.png", "dog/2.png")
        assert source.class_names == ("0", "1", "cat", "dog")
        assert source.labels.tolist() == [1, -1, 2, 3]
        assert [s.label for s in source] == [1, None, 2, 3]

    def test_a_folder_may_hold_shards(self, tmp_path):
        put(tmp_path, {"a.png": 1})
        shard(tmp_path / "s.tar", [("k.png", content(4))])
        assert open_source(tmp_path).keys == ("a.png", "k")

    def test_it_can_be_run_through_again(self, tmp_path):
        source = open_source(put(tmp_path, {"a.png": 1, "b.png": 2}))
        assert [s.key for s in source] == [s.key for s in source]


class TestBadOnes:
    FILES = {"a.png": 1, "b.png": b"no picture", "c.png": 3, "d.png": b"", "e.png": 5}  # noqa: RUF012

    def test_they_are_named_and_passed_over(self, tmp_path):
        log = Log()
        source = open_source(put(tmp_path, self.FILES), on_error=log)
        assert [s.key for s in source] == ["a.png", "c.png", "e.png"]
        assert [key for key, _ in log] == ["b.png", "d.png"]
        assert all(str(tmp_path / key) in text for key, text in log)
        assert len(source) == 5

    def test_a_budget_ends_the_pass(self, tmp_path):
        put(tmp_path, self.FILES)
        assert len(list(open_source(tmp_path, on_error=Log(), budget=2))) == 3
        with pytest.raises(ImageError, match=r"2 of the first 4 pictures .* more than the 1 allowed"):
            list(open_source(tmp_path, on_error=Log(), budget=1))

    def test_they_are_logged_where_nothing_else_is_asked(self, tmp_path, caplog):
        list(open_source(put(tmp_path, self.FILES)))
        assert [r.levelname for r in caplog.records] == ["WARNING"] * 2

    def test_a_picture_that_vanishes_is_one_of_them(self, tmp_path):
        log = Log()
        source = open_source(put(tmp_path, {"a.png": 1, "b.png": 2}), on_error=log)
        assert len(source) == 2
        (tmp_path / "a.png").unlink()
        assert [s.key for s in source] == ["b.png"]
        path = shard(tmp_path / "s.tar", [("k.png", content(4))])
        source = open_source(path, on_error=log)
        assert len(source) == 1
        path.unlink()
        assert list(source) == []
        assert "cannot be read" in log[-1][1]

    def test_the_cap_is_passed_on(self, tmp_path):
        log = Log()
        assert not list(open_source(put(tmp_path, {"a.png": 1}), on_error=log, max_pixels=34))
        assert "34 allowed" in log[0][1]

    def test_nothing_to_read_is_an_error(self, tmp_path):
        with pytest.raises(InputError, match="no pictures named"):
            open_source([])
        with pytest.raises(ImageError, match="no such file"):
            open_source([tmp_path / "none"])
        with pytest.raises(ImageError, match="no pictures in"):
            len(open_source(tmp_path))


def test_the_shared_shards_read_as_described(shared):
    flowers = open_source(
        shared / "data" / "flowers128-dev-000.tar", class_names=["daisy", "dandelion", "roses", "sunflowers", "tulips"]
    )
    assert len(flowers) == 182
    assert set(flowers.labels) == set(range(5))
    assert flowers[100].image.shape == (128, 128, 3)


NAMES = ("IMG_2.0.png", "Screenshot 2026-01-05 at 10.30.12.PNG", "a.b/c.png", "cat/x.png", "cat/x.bmp")


def test_a_folder_and_a_shard_of_it_give_the_same_pictures(tmp_path):
    folder = tmp_path / "set"
    for number, name in enumerate(NAMES):
        put(folder, {name: number + 1})
    for name in ("@eaDir/x.png", "__MACOSX/y.png", ".ipynb_checkpoints/z.png", "cat/@eaDir/x.png", "notes.txt"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content(99) if name.endswith("png") else b"text")
    with tarfile.open(tmp_path / "set.tar", "w") as archive:
        archive.add(folder, ".")
    said = []
    for path in (folder, tmp_path / "set.tar"):
        source = open_source(path, on_error=lambda key, error: said.append(key))
        assert sorted(int(sample.image[0, 0, 0]) for sample in source) == [1, 2, 3, 4, 5]
        assert len(set(source.keys)) == 5
    assert not said


def test_two_pictures_of_one_key_are_two_samples_of_its_class(tmp_path):
    path = shard(tmp_path / "a.tar", [("x.png", content(1)), ("x.bmp", content(2)), ("x.cls", b"3")])
    assert [(s.key, s.label) for s in open_source(path)] == [("x.png", 3), ("x.bmp", 3)]


def test_a_stray_picture_is_named_and_the_others_keep_their_classes(tmp_path):
    for number in range(9):
        put(tmp_path, {f"{'cat' if number % 2 else 'dog'}/{number}.png": number})
    put(tmp_path, {"folder.png": 77})
    said = []
    source = open_source(tmp_path, on_error=lambda key, error: said.append((key, str(error))))
    assert source.class_names == ("cat", "dog")
    assert len(source) == 9
    assert [key for key, _ in said] == ["folder.png"]
    assert "beside the class folders (cat, dog); move it into one of them" in said[0][1]
    put(tmp_path, {"another.png": 78})
    assert open_source(tmp_path).class_names == ()  # more than one in ten: no class folders, but folders


def test_the_identity_follows_pictures_and_classes_and_nothing_else(tmp_path):
    put(tmp_path, {"cat/1.png": 1, "cat/2.png": 2, "dog/3.png": 3})

    def identity():
        return open_source(tmp_path).identity

    first = identity()
    assert identity() == first
    (tmp_path / ".DS_Store").write_bytes(b"")
    (tmp_path / "cat" / "notes.txt").write_text("nothing")
    assert identity() == first
    seen = {first}
    os.utime(tmp_path / "cat/1.png", ns=(1, 1))
    seen.add(identity())
    (tmp_path / "cat/2.png").rename(tmp_path / "dog/2.png")
    seen.add(identity())
    put(tmp_path, {"dog/4.png": 4})
    seen.add(identity())
    (tmp_path / "dog/4.png").unlink()
    seen.add(identity())
    assert len(seen) == 4  # the last one is the one before
