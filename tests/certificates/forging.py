"""What a hostile issuer does to a certificate: everything consistent, down to checksums and bounds."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxbound.certificates.canonical import canonical_json, read_canonical
from onnxbound.certificates.certificate import CodeFile, preprocessing_said
from onnxbound.certificates.decoded import decoded
from onnxbound.certificates.evidence import Evidence
from onnxbound.certificates.verify import verify
from onnxbound.codec.architecture import Architecture, CodedNode
from onnxbound.codec.network_code import NetworkCode, encode
from onnxbound.codec.tensors import Levels
from onnxbound.errors import DataError, ModelError, UsageError, VerificationError
from onnxbound.operators.dense import Dense
from onnxbound.run.device import CPU
from tests.certificates.conftest import Case, rewrite

Copy = Callable[[str], Path]


def linear(inputs: int, weight: Any) -> NetworkCode:
    """A code of one dense layer."""
    levels = np.asarray(weight, np.int64).reshape(-1, inputs)
    architecture = Architecture((inputs,), (CodedNode(Dense(levels.astype(np.float32), None, None), (0,)),))
    return NetworkCode(architecture, (Levels(1.0, levels),))


def data_of(case: Case, **changes: Any) -> Evidence:
    return replace(Evidence(data=case.opener("train.npz")), **changes)


def refused(folder: Path, evidence: Evidence, why: str, **options: Any) -> None:
    """Refused, with the reason."""
    with pytest.raises((VerificationError, DataError, ModelError, UsageError)) as error:
        verify(folder, evidence, CPU, 1, **options)
    said = " ".join([error.value.message, *(f"{p.where} {p.why}" for p in error.value.problems)])
    assert why in said, said


def entries(folder: Path, **changes: Any) -> None:
    """Other entries in a document, its checksum made right."""
    path = folder / "certificate.json"
    path.write_bytes(canonical_json(read_canonical(path.read_bytes()) | changes))


def with_code(folder: Path, code: NetworkCode) -> None:
    """Another code in a folder, its hashes, bits and bound made right."""
    content, net = encode(code), decoded(code)
    (folder / "code.bin").write_bytes(content)
    (folder / "decoded.onnx").write_bytes(net.to_bytes())
    said = CodeFile.of(content, code, net.to_bytes())
    named = {name: getattr(said, name) for name in ("sha256", "decoder_version", "architecture", "decoded_sha256")}
    rewrite(folder, code=named, bits=8 * len(content), preprocessing=preprocessing_said(code, None))
