"""Weights come back as they were, and a file that is not what it says never becomes a model."""

import json
import pickle
import struct

import pytest
import torch

from workbench.errors import ModelError
from workbench.models.weights import file_digest, load_weights, read_header, save_weights

STATE = {"a.weight": torch.linspace(-2, 2, 6).reshape(2, 3), "a.bias": torch.zeros(2), "count": torch.tensor([3])}
SHAPES = {key: tuple(value.shape) for key, value in STATE.items()}


def file_of(path, header, body=b"", *, length=None):
    """A file with any header (bytes, or an object turned to JSON) and any claim about its length."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + body)
    return path


def tensor(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize(("dtype", "stored"), [(torch.float16, torch.float16), (None, torch.float32)])
def test_weights_come_back(tmp_path, dtype, stored):
    path = tmp_path / "model.safetensors"
    save_weights(path, STATE, dtype=dtype)
    back = load_weights(path, SHAPES)
    assert back.keys() == STATE.keys()
    assert back["a.weight"].dtype == stored
    assert back["count"].dtype == torch.int64
    assert all(torch.allclose(back[key].double(), STATE[key].double(), atol=1e-3) for key in STATE)
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


def test_views_of_one_storage_are_saved_apart(tmp_path):
    table = torch.arange(6.0).reshape(2, 3)
    save_weights(tmp_path / "m", {"a": table, "b": table, "c": table.T}, dtype=None)
    back = load_weights(tmp_path / "m", {"a": (2, 3), "b": (2, 3), "c": (3, 2)})
    assert torch.equal(back["c"], back["a"].T)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e6])
def test_what_is_not_finite_or_overflows_is_never_saved(tmp_path, value):
    path = tmp_path / "m"
    save_weights(path, {"a": torch.ones(2)})
    before = file_digest(path)
    with pytest.raises(ModelError, match="cannot be stored"):
        save_weights(path, {"a": torch.tensor([1.0, value])})
    assert file_digest(path) == before
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (SHAPES | {"b": (1,)}, "lacks 'b'"),
        ({"count": (1,)}, r"also holds 'a.bias', 'a.weight'"),
        (SHAPES | {"a.weight": (3, 2)}, r"'a.weight' has shape \(2, 3\), this model expects \(3, 2\)"),
    ],
)
def test_names_and_shapes_must_be_the_expected_ones(tmp_path, shapes, message):
    save_weights(tmp_path / "m", STATE)
    with pytest.raises(ModelError, match=message):
        load_weights(tmp_path / "m", shapes)


@pytest.mark.parametrize("bad", [float("nan"), float("-inf")])
def test_numbers_that_are_not_finite_are_refused(tmp_path, bad):
    file_of(tmp_path / "m", {"a": tensor()}, struct.pack("<ff", 1, bad))
    with pytest.raises(ModelError, match="1 of 2 numbers of 'a' are not finite"):
        load_weights(tmp_path / "m", {"a": (2,)})


HOSTILE = {
    "empty": (b"", "it has 0 bytes"),
    "a pickle": (pickle.dumps({"a": 1}, protocol=2) * 2, "is a pickle, and nothing is unpickled"),
    "a zip archive": (b"PK\x03\x04" + bytes(40), "is a zip archive"),
    "an absurd header length": (struct.pack("<Q", 1 << 60) + b"{}", f"a header of {1 << 60} bytes"),
    "a header longer than the file": (struct.pack("<Q", 100) + b"{}", "a header of 100 bytes in a file of 10"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_other_files_are_named_and_refused(tmp_path, case):
    data, message = HOSTILE[case]
    path = tmp_path / "m"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=message):
        load_weights(path, {"a": (2,)})


HEADERS = {
    "a repeated key": (b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":1}', "key 'a' stands twice"),
    "no JSON": (b"{]", "not sound JSON"),
    "deep nesting": (b"[" * 200_000, "not sound JSON"),
    "no text": (b"\xff\xfe{}", "not sound JSON"),
    "a list": ([], "the header is a list"),
    "no description": ({"a": 3}, "not described by"),
    "an extra field": ({"a": tensor() | {"code": "x"}}, "not described by"),
    "an unknown type": ({"a": tensor("O")}, "has dtype 'O'"),
    "a list as type": ({"a": tensor(["F32"])}, "has dtype"),
    "a negative side": ({"a": tensor(shape=(-2,))}, "expected counts"),
    "a boolean side": ({"a": tensor(shape=(True, 2))}, "expected counts"),
    "a huge side": ({"a": tensor(shape=(1 << 60,))}, "expected counts"),
    "backward offsets": ({"a": tensor(offsets=(8, 0))}, "the header gives it -8"),
    "a shape beyond its bytes": ({"a": tensor(shape=(3,))}, "takes 12 bytes"),
    "overlap": ({"a": tensor(), "b": tensor()}, "begins at byte 0, the one before it ends at 8"),
    "a gap": ({"a": tensor(offsets=(4, 12))}, "begins at byte 4"),
    "bytes left over": ({"a": tensor("F16", (2,), (0, 4))}, "accounts for"),
    "too many tensors": ({f"t{n}": 0 for n in range(20_001)}, "lists 20001 tensors"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_a_header_that_does_not_add_up_is_refused(tmp_path, case):
    header, message = HEADERS[case]
    file_of(tmp_path / "m", header, bytes(8))
    with pytest.raises(ModelError, match=message):
        read_header(tmp_path / "m")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"cannot read .*absent"):
        load_weights(tmp_path / "absent", {})
