"""Saving pictures that say where they come from.

Every picture this program makes or edits carries the IPTC *digital source type* in an XMP packet (IPTC Photo Metadata
Standard 2023.1; vocabulary http://cv.iptc.org/newscodes/digitalsourcetype), so that viewers and archives can tell.
"""

from __future__ import annotations

import enum
import io
import os
from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from crossrig.errors import UserError
from crossrig.files import replacing

_VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_NAMESPACE = "urn:crossrig:edits"
_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


class DigitalSource(enum.Enum):
    """How a picture came about; the values are the IPTC terms."""

    EDITED = "compositeWithTrainedAlgorithmicMedia"
    """A picture from elsewhere, parts of which a trained model replaced."""
    TRAINED = "trainedAlgorithmicMedia"
    """Made by a trained model."""
    RENDERED = "algorithmicMedia"
    """Made by a program that was not trained: the renderer."""


def check_destination(
    path: str | os.PathLike[str], overwrite: bool = False, *, what: str = "pictures", endings: Collection[str] | None = None
) -> Path:
    """The path, once it is sure that a file may be written there; raises :class:`UserError` otherwise.

    ``what`` is written, to a name with one of ``endings``; None: those of pictures.
    """
    path = Path(path)
    allowed = sorted(_FORMATS if endings is None else endings)
    if path.suffix.lower() not in allowed:
        raise UserError(f"{path}: {what} are written as {', '.join(allowed)}; choose a name that ends so.")
    if path.is_dir():
        raise UserError(f"{path}: is a folder; give a file name.")
    if path.exists() and not overwrite:
        raise UserError(f"{path}: exists already; choose another name or add --overwrite.")
    if not path.parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist; make it first.")
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"{path}: the folder {path.parent} cannot be written to; choose another place.")
    return path


def save_picture(
    path: str | os.PathLike[str], pixels: NDArray[np.uint8], source: DigitalSource, overwrite: bool = False
) -> None:
    """Write (H, W, 3) uint8 sRGB as PNG, JPEG or WebP, by the ending of the name; whole or not at all.

    Raises :class:`UserError` when the place cannot be written or is taken and ``overwrite`` is false.
    """
    path = check_destination(path, overwrite)
    content = encode_picture(pixels, source, path.suffix)
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error}).") from error


def encode_picture(pixels: NDArray[np.uint8], source: DigitalSource, ending: str, recipe: str = "") -> bytes:
    """The file of (H, W, 3) uint8 sRGB as PNG, JPEG or WebP; ``recipe``: how it was edited, kept beside the source type."""
    kind = _FORMATS[ending.lower()]
    packet = xmp_packet(source, recipe)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    stream = io.BytesIO()
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_itxt("XML:com.adobe.xmp", packet)
        image.save(stream, kind, pnginfo=text)
    elif kind == "JPEG":
        image.save(stream, kind, quality=95, subsampling=0, xmp=packet.encode())
    else:
        image.save(stream, kind, quality=95, xmp=packet.encode())
    return stream.getvalue()


def xmp_packet(source: DigitalSource, recipe: str = "") -> str:
    """The XMP packet that states the digital source type and the program, and the edits when they are given."""
    edits = f" xmlns:crossrig={quoteattr(_NAMESPACE)} crossrig:Edits={quoteattr(recipe)}" if recipe else ""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
        ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
        f" xmp:CreatorTool={quoteattr(f'crossrig {_version()}')}"
        f" Iptc4xmpExt:DigitalSourceType={quoteattr(_VOCABULARY + source.value)}{edits}/>"
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )


def _version() -> str:
    try:
        return version("crossrig")
    except PackageNotFoundError:
        return "(not installed)"
