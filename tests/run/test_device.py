"""Devices are asked for by name, and never replaced in silence."""

import onnxruntime
import pytest

from onnxbound.errors import DeviceError, UsageError
from onnxbound.run.device import resolve_device


def has_cuda() -> bool:
    return resolve_device("auto").name.startswith("cuda")


def test_cpu() -> None:
    device = resolve_device("cpu")
    assert (device.name, device.note) == ("cpu", "")
    assert [name for name, _ in device.providers] == ["CPUExecutionProvider"]


def test_auto_says_what_it_got() -> None:
    device = resolve_device("auto")
    assert device.name == "cpu" or device.name.startswith("cuda:")
    if device.name == "cpu":
        assert device.note.startswith("auto chose the CPU: ")


def test_cuda_that_is_not_there_is_an_error() -> None:
    if has_cuda():
        pytest.skip("there is a GPU")
    with pytest.raises(DeviceError, match="The device cuda:3 is not available") as caught:
        resolve_device("cuda:3")
    assert (caught.value.code, caught.value.exit_code) == ("device-unavailable", 5)
    assert 'device="cpu"' in caught.value.problems[0].do


def test_runtime_without_cuda_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(DeviceError) as caught:
        resolve_device("cuda")
    assert caught.value.problems[0].why == "this onnxruntime is built without CUDA"


@pytest.mark.parametrize("word", ["gpu", "cpu:1", "cuda:x", "", "auto:0"])
def test_other_words_are_usage_errors(word: str) -> None:
    with pytest.raises(UsageError, match="`device` must be auto, cpu, cuda or cuda:N"):
        resolve_device(word)
