"""The files of a certificate in their folder."""

from collections.abc import Mapping
from pathlib import Path
from stat import S_ISREG

from onnxbound.certificates.canonical import read_canonical
from onnxbound.codec.quantised import INTEGER_FILES
from onnxbound.documents.files import is_folder, remove_left, require_writable, write_atomically
from onnxbound.errors import DataError, OutputError, Problem, VerificationError

CERTIFICATE = "certificate.json"
CODE = "code.bin"
DECODED = "decoded.onnx"

_LARGEST = {CERTIFICATE: 1 << 20, CODE: 1 << 22}
_LARGEST_MODEL = 1 << 28
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
    remove_left(folder)
    known = (CERTIFICATE, CODE, DECODED, *INTEGER_FILES)
    others = sorted(path.name for path in folder.iterdir() if path.name not in known)
    if others:
        raise OutputError(
            "output-exists",
            f"The folder {folder} holds other files; the folder of a certificate may hold no others.",
            [Problem(str(folder / others[0]), "a verifier would refuse it", "choose an empty folder with -o")],
        )
    for name in known:
        require_writable(folder / name, force=force)


def write_folder(folder: Path, files: Mapping[str, bytes], *, force: bool) -> None:
    """Write the files, each whole or not at all; the certificate, which names the others, comes last.

    Raises:
        OutputError: output-exists or output-unwritable.
    """
    for name in INTEGER_FILES:
        if name not in files:
            (folder / name).unlink(missing_ok=True)
    for name in sorted(files, key=lambda name: name == CERTIFICATE):
        content = files[name]
        write_atomically(folder / name, lambda file, content=content: file.write(content), force=force)  # type: ignore[misc]


def require_only(folder: Path, names: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    """Refuse whatever lies in a certificate's folder beside its files: nobody vouches for it.

    Raises:
        VerificationError: certificate-malformed.
    """
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise malformed(str(folder), f"the folder cannot be read: {error.strerror}") from error
    for path in entries:
        if path.name not in names + optional:
            why = "it is no part of a certificate of this kind"
            raise malformed(path.name[:80], why, "remove it: in the folder lie only the certificate's own files")
        if path.is_symlink():
            raise malformed(path.name, "it is a link, and may lead elsewhere for others")
    for name in names:
        if not (folder / name).is_file():
            raise malformed(name, "it is missing")


def read_file(folder: Path, name: str) -> bytes:
    """One of the files.

    Raises:
        VerificationError: certificate-malformed, it is missing, cannot be read, or is absurdly large.
    """
    path, largest = folder / name, _LARGEST.get(name, _LARGEST_MODEL)
    try:
        if not S_ISREG(path.lstat().st_mode):
            raise malformed(name, "it is a folder, a link or a device, not a file")
        with path.open("rb") as file:
            content = file.read(largest + 1)
    except OSError as error:
        raise malformed(name, f"it cannot be read: {error.strerror}") from error
    if len(content) > largest:
        raise malformed(name, f"it has more than {largest:,} bytes")
    return content


def read_document(folder: Path) -> dict[str, object]:
    """The document of certificate.json.

    Raises:
        DataError: There is no such folder.
        VerificationError: certificate-malformed.
    """
    if not is_folder(folder):
        problem = Problem(str(folder), "there is no such folder", "give the folder that certify wrote")
        raise DataError("data-not-found", f"There is no folder {folder}.", [problem])
    try:
        return read_canonical(read_file(folder, CERTIFICATE))
    except ValueError as error:
        raise malformed(CERTIFICATE, str(error)) from error


def malformed(
    name: str, why: str, do: str = "get the certificate's files again from whoever made them"
) -> VerificationError:
    """A file that is not what a certificate has."""
    return VerificationError(
        "certificate-malformed",
        f"The certificate does not verify: {name}: {why}.",
        [Problem(name, why, do)],
    )
