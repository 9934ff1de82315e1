"""The files of a certificate in their folder."""

from collections.abc import Mapping
from pathlib import Path

from onnxbound.certificates.canonical import read_canonical
from onnxbound.documents.files import require_writable, write_atomically
from onnxbound.errors import OutputError, Problem, VerificationError

CERTIFICATE = "certificate.json"
CODE = "code.bin"
SKELETON = "skeleton.onnx"
DECODED = "decoded.onnx"

_LARGEST = {CERTIFICATE: 1 << 20, CODE: 1 << 26, SKELETON: 1 << 24, DECODED: 1 << 28}
"""Bytes that a verifier reads of a file it does not know."""


def require_folder(folder: Path, *, force: bool) -> None:
    """Make the folder, and complain before the work begins about files in it that would be overwritten.

    Raises:
        OutputError: output-exists or output-unwritable.
    """
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        why = error.strerror or str(error)
        raise OutputError(
            "output-unwritable",
            f"The folder {folder} cannot be made: {why}.",
            [Problem(str(folder), why, "choose another folder with -o")],
        ) from error
    for name in (CERTIFICATE, CODE, SKELETON, DECODED):
        require_writable(folder / name, force=force)


def write_folder(folder: Path, files: Mapping[str, bytes], *, force: bool) -> None:
    """Write the files, each whole or not at all; the certificate, which names the others, comes last.

    Raises:
        OutputError: output-exists or output-unwritable.
    """
    for name in sorted(files, key=lambda name: name == CERTIFICATE):
        content = files[name]
        write_atomically(folder / name, lambda file, content=content: file.write(content), force=force)  # type: ignore[misc]


def read_file(folder: Path, name: str) -> bytes:
    """One of the files.

    Raises:
        VerificationError: certificate-malformed, it is missing, cannot be read, or is absurdly large.
    """
    path = folder / name
    try:
        if not path.is_file():
            raise malformed(name, "it is missing")
        with path.open("rb") as file:
            content = file.read(_LARGEST[name] + 1)
    except OSError as error:
        raise malformed(name, f"it cannot be read: {error.strerror}") from error
    if len(content) > _LARGEST[name]:
        raise malformed(name, f"it has more than {_LARGEST[name]:,} bytes")
    return content


def read_document(folder: Path) -> dict[str, object]:
    """The document of certificate.json.

    Raises:
        VerificationError: certificate-malformed.
    """
    try:
        return read_canonical(read_file(folder, CERTIFICATE))
    except ValueError as error:
        raise malformed(CERTIFICATE, str(error)) from error


def malformed(name: str, why: str) -> VerificationError:
    """A file that is not what a certificate has."""
    return VerificationError(
        "certificate-malformed",
        f"The certificate does not verify: {name}: {why}.",
        [Problem(name, why, "get the certificate's files again from whoever made them")],
    )
