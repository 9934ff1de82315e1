"""Encoded images as arrays."""

from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from onnxbound.data.array_file import ArrayFile, invalid, require_regular
from onnxbound.data.spool import extra, reading, spool
from onnxbound.errors import DataError, Problem

_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Formats that are decoded, whatever the file's name; decoders of others start programs, such as Ghostscript."""

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
_LARGEST_SIDE = 4096
_MODES = {"L": "L", "1": "L", "P": "RGB", "RGB": "RGB", "RGBA": "RGB", "LA": "L"}


def decoded(name: str, files: Iterable[IO[bytes]]) -> NDArray[np.uint8]:
    """Decode images of one size and one number of channels to `(b, h, w)` or `(b, h, w, 3)`.

    Raises:
        DataError: data-extra, or data-invalid.
    """
    images = [_image(name, file) for file in files]
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise invalid(name, f"images of {len(shapes)} shapes, {sorted(shapes)[:3]}", "resize them as for training")
    return np.stack(images)


def _image(name: str, file: IO[bytes] | Path) -> NDArray[np.uint8]:
    pil = extra("PIL.Image", "images", "images")
    pil.init()  # warnings of its modules at import are not about the file
    with reading(name, "an image cannot be decoded", "check the file"):
        if isinstance(file, Path):
            require_regular(file)
        try:
            opened = pil.open(file, formats=_FORMATS)
        except pil.UnidentifiedImageError as error:
            why = f"an image is in none of the formats {', '.join(_FORMATS)}"
            raise invalid(name, why, "save it as one of them") from error
        with opened as image:
            if max(image.size) > _LARGEST_SIDE:
                why = f"an image of {image.size[0]} x {image.size[1]} pixels"
                raise invalid(name, why, "resize it as for training")
            mode = _MODES.get(image.mode)
            if mode is None:
                raise invalid(name, f"an image of mode {image.mode}", "save it in 8 bits per channel")
            image.info.pop("transparency", None)  # of a palette; it is left out as the channel A of RGBA is
            return np.asarray(image.convert(mode))


def open_image_folder(path: Path, role: str, *, labelled: bool) -> tuple[ArrayFile, ArrayFile | None]:
    """Open images in one folder per class, `DIR/CLASS/*.png`, or the same below `DIR/train` and `DIR/test`.

    Classes are numbered in the order of their names as text, so "10" comes before "2".

    Raises:
        DataError: data-extra, data-invalid, or data-key where there are no classes.
    """
    root = path / role if (path / role).is_dir() else path
    classes = sorted(entry for entry in root.iterdir() if entry.is_dir()) if labelled else [root]
    listed = [(place, file) for place, folder in enumerate(classes) for file in _files(folder)]
    if not listed:
        raise DataError(
            "data-key",
            f"{root} holds no folders of images, one per class.",
            [Problem(str(root), f"{len(classes)} folders, no images in them", "one folder per class: DIR/CLASS/*.png")],
        )
    first = _image(str(listed[0][1]), listed[0][1])

    def pixels() -> Iterable[NDArray[Any]]:
        for _, file in listed:
            image = _image(str(file), file)
            if image.shape != first.shape:
                why = f"it has the shape {image.shape}, the first one {first.shape}"
                raise invalid(str(file), why, "resize the images as for training")
            yield image[None]

    images = spool(path.name, (len(listed), *first.shape), np.dtype(np.uint8), pixels())
    if not labelled:
        return images, None
    labels = np.array([place for place, _ in listed], np.int64)
    return images, spool(f"{path.name}: names of folders", labels.shape, labels.dtype, [labels])


def _files(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.suffix.lower() in _SUFFIXES)
