"""Codes: the ONNX file again, bit for bit; damaged and hostile ones are refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from onnxbound.codec.range_coder import Malformed
from onnxbound.compressors import level_codes
from onnxbound.compressors.codes import MAGIC, decode, pack, unpack
from onnxbound.errors import DataError
from onnxbound.graph.small_integers import integer_tensor
from tests.cli.command import failing, onnxbound
from tests.compressors.test_smallest import rows_of
from tests.compressors.test_written import grouped_and_channels_last, shared_weight
from tests.nets import random_mlp
from tests.oracle.models import fixtures


def written(net: Path, folder: Path, *words: str | Path) -> tuple[Path, Path]:
    model, codes = folder / "out.onnx", folder / "out.codes"
    found = onnxbound(
        "compress", net, "-o", model, "--codes", codes, "--method", "matrix-project", "--keep", "20%", *words, "--force"
    )
    assert found.code == 0, found.stderr
    assert "codes" in found.stdout
    return model, codes


@pytest.mark.parametrize("name", ["mnist_mlp", "cifar10_cnn", "cifar10_resnet"])
def test_bit_for_bit(name: str, tmp_path: Path) -> None:
    (fixture,) = [model for model in fixtures() if model.name == name]
    model, codes = written(fixture.path, tmp_path, "--threads", "2")
    again = tmp_path / "again.onnx"
    found = onnxbound("decompress", codes, "-o", again, "--threads", "1", "--json")
    assert found.code == 0
    assert again.read_bytes() == model.read_bytes()
    assert found.json()["bytes"] == model.stat().st_size > 5 * found.json()["codes_bytes"]
    assert failing("decompress", codes, "-o", again)["code"] == "output-exists"


@pytest.mark.parametrize("build", [grouped_and_channels_last, shared_weight])
def test_transposed_shared_and_switched_off_units(build, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    model, codes = written(build(tmp_path / "net.onnx"), tmp_path)
    assert onnxbound("decompress", codes, "-o", tmp_path / "again.onnx").code == 0
    assert (tmp_path / "again.onnx").read_bytes() == model.read_bytes()


def test_with_an_initialisation(tmp_path: Path) -> None:
    net, init = (random_mlp(tmp_path / f"{seed}.onnx", [6, 40, 4], seed=seed) for seed in (0, 1))
    model, codes = written(net, tmp_path, "--init", init)
    again = tmp_path / "again.onnx"
    assert failing("decompress", codes, "-o", again)["code"] == "compress-init"
    assert failing("decompress", codes, "-o", again, "--init", net)["code"] == "compress-init"
    assert onnxbound("decompress", codes, "-o", again, "--init", init).code == 0
    assert again.read_bytes() == model.read_bytes()


def test_other_methods_write_no_codes(tmp_path: Path) -> None:
    net = random_mlp(tmp_path / "net.onnx", [6, 40, 4])
    words = ("-o", tmp_path / "out.onnx", "--codes", tmp_path / "out.codes", "--method", "svd", "--rank", "1")
    assert failing("compress", net, *words)["code"] == "compress-codes"


@pytest.mark.parametrize(
    "method", ["smallest", "int8", "int8-weights", "int4-weights", "int4-weights --block 9", "fp16"]
)
def test_formats_bit_for_bit(method: str, tmp_path: Path) -> None:
    net = random_mlp(tmp_path / "net.onnx", [12, 60, 40, 4])
    model, codes, again = (tmp_path / name for name in ("out.onnx", "out.codes", "again.onnx"))
    words = (
        "--method",
        *method.split(),
        "--data",
        rows_of(net, 600, 0.1),
        "--max-drop" if method == "smallest" else "-q",
    )
    words += ("5%",) if method == "smallest" else ()
    found = onnxbound("compress", net, "-o", model, "--codes", codes, *words, "--json")
    assert found.code == 0, found.stderr
    assert found.json()["file"]["codes_bytes"] == codes.stat().st_size
    assert onnxbound("decompress", codes, "-o", again).code == 0
    assert again.read_bytes() == model.read_bytes()
    if method == "smallest":  # levels that only codes keep short
        assert codes.stat().st_size < 0.9 * model.stat().st_size
        assert any(width in (2, 3) for attempt in found.json()["tried"] for width in attempt["widths"].values())


@pytest.mark.parametrize("shape", [(7,), (5, 3), (4, 3, 5), (4, 2, 3, 3), (2, 3, 2, 2, 3)])
@pytest.mark.parametrize(("width", "last"), [(4, 8), (8, 128)])
def test_levels_of_any_shape(shape: tuple[int, ...], width: int, last: int) -> None:
    levels = np.random.default_rng(0).integers(-last, last, shape)
    tensors = [integer_tensor("q", levels, width) for _ in range(2)]
    written = [tensor.raw_data for tensor in tensors]
    data = level_codes.coded(tensors)
    for tensor in tensors:
        tensor.ClearField("raw_data")
    level_codes.restore(tensors, data)
    assert [tensor.raw_data for tensor in tensors] == written
    for hostile in (data + b"\1", data[:-2]):
        with pytest.raises((ValueError, Malformed)):
            level_codes.restore(tensors, hostile)


def test_levels_that_do_not_fit_and_too_many() -> None:
    data = level_codes.coded([integer_tensor("q", np.array([1, 2, 100]), 8)])
    with pytest.raises(ValueError, match="do not fit into 4 bits"):
        level_codes.restore([helper.make_tensor("q", TensorProto.INT4, (3,), b"\0\0", raw=True)], data)
    huge = TensorProto(name="q", data_type=TensorProto.INT4, dims=[1 << 13, 1 << 12])
    with pytest.raises(ValueError, match="at most"):
        level_codes.restore([huge], data)


def test_damaged_codes(tmp_path: Path) -> None:
    _, codes = written(random_mlp(tmp_path / "net.onnx", [6, 40, 4]), tmp_path)
    data = codes.read_bytes()
    start = len(MAGIC) + 8
    length = int.from_bytes(data[len(MAGIC) : start], "little")
    header = json.loads(data[start : start + length])

    def changed(**values: object) -> bytes:
        text = json.dumps(header | values).encode()
        return MAGIC + len(text).to_bytes(8, "little") + text + data[start + length :]

    weight = header["weights"][0]
    assert changed() != b""
    hostile = {
        "empty": b"",
        "another format": b"onnx" + data,
        "cut off": data[:-1],
        "longer": data + b"\0",
        "header cut off": data[: start + 5],
        "a huge header": MAGIC + b"\xff" * 8 + data[start:],
        "a huge weight": changed(weights=[weight | {"shape": [1 << 40, 1 << 20]}]),
        "no shape": changed(weights=[weight | {"shape": []}]),
        "a weight of text": changed(weights=[weight | {"shape": ["a"]}]),
        "many codes": changed(weights=[weight | {"count": 1 << 60}]),
        "wide codes": changed(weights=[weight | {"width": 64}]),
        "another spacing": changed(weights=[weight | {"spacing": "0x1p+1000"}, *header["weights"][1:]]),
        "no spacing": changed(weights=[weight | {"spacing": "much"}, *header["weights"][1:]]),
        "another name": changed(weights=[weight | {"name": "nobody"}, *header["weights"][1:]]),
        "another helper": changed(helper="mersenne"),
        "a negative model": changed(model_bytes=-5),
        "a larger model": changed(model_bytes=header["model_bytes"] + 1),
        "a smaller model": changed(model_bytes=header["model_bytes"] - 1),
        "levels behind the end": changed(level_bytes=1 << 40),
        "a huge model": changed(model_bytes=1 << 60),
        "a list": MAGIC + (2).to_bytes(8, "little") + b"[]",
        "one bit": data[:-30] + bytes([data[-30] ^ 1]) + data[-29:],
    }
    for what, content in hostile.items():
        codes.write_bytes(content)
        error = failing("decompress", codes, "-o", tmp_path / "again.onnx")
        assert error["code"] == "codes-invalid", what
        assert not (tmp_path / "again.onnx").exists()
    codes.unlink()
    assert failing("decompress", codes, "-o", tmp_path / "again.onnx")["code"] == "data-not-found"


@pytest.mark.parametrize("width", [1, 2, 7, 13, 40])
def test_packing(width: int) -> None:
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    codes = np.random.default_rng(width).integers(low, high, 99, endpoint=True)
    codes[:2] = low, high
    data = pack(codes, width)
    assert len(data) == -(-99 * width // 8)
    np.testing.assert_array_equal(unpack(data, 99, width), codes)


def test_the_error_names_the_cause() -> None:
    with pytest.raises(DataError, match="cannot be read") as caught:
        decode(b"", None, None, None)
    assert "do not begin" in caught.value.problems[0].why
