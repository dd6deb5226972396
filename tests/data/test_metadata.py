"""Pictures that say where they come from, written whole or not at all."""

from __future__ import annotations

import os
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from crossrig.data.metadata import DigitalSource, check_destination, save_picture, xmp_packet
from crossrig.errors import UserError

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
TERM = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
XMP = "{http://ns.adobe.com/xap/1.0/}"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".webp", ".PNG"])
def test_source_type_can_be_read_by_others(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    save_picture(path, PIXELS, DigitalSource.EDITED)
    with Image.open(path) as image:
        packet = image.info["xmp"]
        assert image.size == (50, 40)
    description = ElementTree.fromstring(packet).find(f".//{RDF}Description")
    assert description is not None
    assert description.get(f"{IPTC}DigitalSourceType") == TERM
    assert description.get(f"{XMP}CreatorTool", "").startswith("crossrig")
    assert list(tmp_path.iterdir()) == [path]  # no temporary file is left


def test_png_keeps_pixels(tmp_path: Path) -> None:
    save_picture(tmp_path / "a.png", PIXELS, DigitalSource.TRAINED)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), PIXELS)


@pytest.mark.parametrize("source", list(DigitalSource))
def test_packet_names_a_term_of_the_vocabulary(source: DigitalSource) -> None:
    assert re.search(rf'DigitalSourceType="http://cv\.iptc\.org/newscodes/digitalsourcetype/{source.value}"', xmp_packet(source))


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_text("precious")
    with pytest.raises(UserError, match="exists already"):
        save_picture(path, PIXELS, DigitalSource.EDITED)
    assert path.read_text() == "precious"
    save_picture(path, PIXELS, DigitalSource.EDITED, overwrite=True)
    assert Image.open(path).size == (50, 40)


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="choose a name that ends so"):
        check_destination(tmp_path / "a.txt")
    with pytest.raises(UserError, match="does not exist"):
        check_destination(tmp_path / "none" / "a.png")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        check_destination(tmp_path / "folder.png", overwrite=True)


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: object, destination: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match="No space left"):
        save_picture(tmp_path / "a.png", PIXELS, DigitalSource.EDITED)
    assert list(tmp_path.iterdir()) == []
