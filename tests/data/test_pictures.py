"""Strangers' pictures: every format and every fault named in the documentation."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from crossrig.data import pictures
from crossrig.data.pictures import BACKDROP, LARGEST_SIDE, from_array, read_picture
from crossrig.errors import UserError


@pytest.fixture(scope="module")
def ramp() -> np.ndarray:
    """(48, 64, 3): red grows to the right, green downwards."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[..., 0] = np.linspace(0, 255, 64)[None, :]
    image[..., 1] = np.linspace(0, 255, 48)[:, None]
    image[..., 2] = 90
    return image


def test_png_is_read_exactly(tmp_path: Path, ramp: np.ndarray) -> None:
    Image.fromarray(ramp).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert np.array_equal(picture.pixels, ramp)
    assert picture.notes == ()


@pytest.mark.parametrize("suffix", ["jpg", "webp", "bmp", "tiff", "gif"])
def test_other_formats(tmp_path: Path, ramp: np.ndarray, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(ramp).save(path)
    picture = read_picture(path)
    assert picture.pixels.shape == ramp.shape
    assert np.abs(picture.pixels.astype(int) - ramp).mean() < 12
    assert picture.notes == ()


def test_greyscale(tmp_path: Path, ramp: np.ndarray) -> None:
    Image.fromarray(ramp[..., 0]).save(tmp_path / "a.png")
    pixels = read_picture(tmp_path / "a.png").pixels
    assert np.array_equal(pixels, np.repeat(ramp[..., :1], 3, axis=2))


def test_bilevel(tmp_path: Path, ramp: np.ndarray) -> None:
    Image.fromarray(ramp[..., 0]).convert("1").save(tmp_path / "a.png")
    assert set(np.unique(read_picture(tmp_path / "a.png").pixels)) == {0, 255}


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_sixteen_bit_grey(tmp_path: Path, ramp: np.ndarray, suffix: str) -> None:
    deep = ramp[..., 0].astype(np.uint16) * 257
    Image.fromarray(deep).save(tmp_path / f"a.{suffix}")
    picture = read_picture(tmp_path / f"a.{suffix}")
    assert np.array_equal(picture.pixels[..., 0], ramp[..., 0])
    assert "more than 8 bits" in picture.notes[0]


def test_sixteen_bit_dark_grey_stays_dark(tmp_path: Path) -> None:
    Image.fromarray(np.full((40, 40), 200, np.uint16)).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png").pixels.max() <= 1


def test_sixteen_bit_colour(tmp_path: Path, ramp: np.ndarray) -> None:
    import cv2

    cv2.imwrite(str(tmp_path / "a.png"), np.ascontiguousarray(ramp[..., ::-1]).astype(np.uint16) * 257)
    assert np.abs(read_picture(tmp_path / "a.png").pixels.astype(int) - ramp).max() <= 1


def test_float_tiff(tmp_path: Path, ramp: np.ndarray) -> None:
    Image.fromarray(ramp[..., 0].astype(np.float32) / 255).save(tmp_path / "a.tiff")
    assert np.array_equal(read_picture(tmp_path / "a.tiff").pixels[..., 0], ramp[..., 0])


def test_cmyk(tmp_path: Path, ramp: np.ndarray) -> None:
    Image.fromarray(ramp).convert("CMYK").save(tmp_path / "a.jpg", quality=95)
    picture = read_picture(tmp_path / "a.jpg")
    assert np.abs(picture.pixels.astype(int) - ramp).mean() < 12
    assert "CMYK" in picture.notes[0]


def test_transparent_parts_become_grey(tmp_path: Path, ramp: np.ndarray) -> None:
    image = Image.fromarray(ramp).convert("RGBA")
    alpha = np.full((48, 64), 255, np.uint8)
    alpha[:10] = 0
    image.putalpha(Image.fromarray(alpha))
    image.save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert (picture.pixels[:10] == BACKDROP).all()
    assert np.array_equal(picture.pixels[10:], ramp[10:])
    assert "Transparent" in picture.notes[0]


def test_opaque_alpha_is_not_worth_a_note(tmp_path: Path, ramp: np.ndarray) -> None:
    Image.fromarray(ramp).convert("RGBA").save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png").notes == ()


def test_palette_with_transparency(tmp_path: Path) -> None:
    image = Image.new("P", (40, 40), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(0, (0, 0, 40, 20))
    image.save(tmp_path / "a.png", transparency=0)
    pixels = read_picture(tmp_path / "a.png").pixels
    assert (pixels[:20] == BACKDROP).all()
    assert (pixels[20:] == [0, 0, 255]).all()


def test_grey_with_alpha(tmp_path: Path) -> None:
    Image.new("LA", (40, 40), (200, 0)).save(tmp_path / "a.png")
    assert (read_picture(tmp_path / "a.png").pixels == BACKDROP).all()


def test_exif_rotation(tmp_path: Path, ramp: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    Image.fromarray(ramp).save(tmp_path / "a.png", exif=exif)
    picture = read_picture(tmp_path / "a.png")
    assert np.array_equal(picture.pixels, np.rot90(ramp, -1))
    assert "EXIF" in picture.notes[0]


def test_animation_gives_its_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "green", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    picture = read_picture(tmp_path / "a.gif")
    assert (picture.pixels == [255, 0, 0]).all()
    assert "animated" in picture.notes[0]


def test_colour_profile_is_applied(tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 40), (120, 60, 30))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image.save(tmp_path / "a.png", icc_profile=profile)
    assert np.abs(read_picture(tmp_path / "a.png").pixels[0, 0].astype(int) - [120, 60, 30]).max() <= 1
    image.save(tmp_path / "b.png", icc_profile=b"nonsense")
    assert "profile is damaged" in read_picture(tmp_path / "b.png").notes[0]


def test_huge_png_is_scaled_down(tmp_path: Path) -> None:
    Image.new("L", (LARGEST_SIDE * 2, 600), 77).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png")
    assert picture.pixels.shape == (300, LARGEST_SIDE, 3)
    assert "scaled down" in picture.notes[0]


def test_huge_jpeg_is_scaled_down(tmp_path: Path) -> None:
    Image.new("RGB", (LARGEST_SIDE * 3, 640), (10, 200, 30)).save(tmp_path / "a.jpg")
    picture = read_picture(tmp_path / "a.jpg")
    assert max(picture.pixels.shape) <= LARGEST_SIDE
    assert len([note for note in picture.notes if "scaled down" in note]) == 1


def _png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing: a decompression bomb in miniature."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


def _truncated_jpeg() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)).save(stream, "JPEG")
    return stream.getvalue()[:3000]


def _truncated_gif() -> bytes:
    stream = io.BytesIO()
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (100, 100), dtype=np.uint8))
    noise.save(stream, "GIF", save_all=True, append_images=[noise.rotate(90)])
    return stream.getvalue()[:4000]


def _small() -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (100, 20)).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda: b"", "is empty"),
        (lambda: b"hello, I am a text file\n" * 10, "is not a picture"),
        (lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is not a picture"),
        (_truncated_jpeg, "damaged or incomplete"),
        (lambda: _png_header(64, 64), "damaged or incomplete"),
        (_small, "each side must be at least 32"),
        (lambda: _png_header(12000, 12000), "more than 120 million pixels"),
        (lambda: _png_header(60000, 60000), "more than 120 million pixels"),
    ],
)
def test_what_cannot_be_used_is_said(tmp_path: Path, content: Callable[[], bytes], message: str) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(content())
    with pytest.raises(UserError, match=message) as caught:
        read_picture(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_truncated_animation(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    path.write_bytes(_truncated_gif())
    with pytest.raises(UserError, match="damaged"):
        read_picture(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_picture(tmp_path / "none.png")
    with pytest.raises(UserError, match="is a folder"):
        read_picture(tmp_path)


def _valid(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.arange(40 * 40 * 3, dtype=np.uint8).reshape(40, 40, 3)).save(stream, kind)
    return stream.getvalue()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"]), data=st.data())
def test_damaged_bytes_never_escape_as_another_error(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    content = bytearray(_valid(kind))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "fuzzed"
    path.write_bytes(bytes(content[: data.draw(st.integers(1, len(content)))]))
    with contextlib.suppress(UserError):
        assert read_picture(path).pixels.shape[2] == 3


def test_arrays() -> None:
    grey = np.full((40, 50), 9, np.uint8)
    assert from_array(grey).pixels.shape == (40, 50, 3)
    clear = np.zeros((40, 40, 4), np.uint8)
    assert (from_array(clear).pixels == BACKDROP).all()
    with pytest.raises(UserError, match="uint8"):
        from_array(np.zeros((40, 40, 3)))
    with pytest.raises(UserError, match="shape"):
        from_array(np.zeros((40, 40, 2), np.uint8))
    with pytest.raises(UserError, match="at least 32"):
        from_array(np.zeros((4, 40, 3), np.uint8))


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pictures.Path, "read_bytes", refuse)
    with pytest.raises(UserError, match=r"cannot be read \(Permission denied\)"):
        read_picture(tmp_path / "secret.png")
