"""Pictures to start with; their credits are in `examples/CREDITS.md`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from crossrig.data.pictures import Picture, from_array, read_picture
from crossrig.studio.protocol import ExampleInfo

_FOLDER = Path(__file__).parent.parent / "examples"


@dataclass(frozen=True)
class Example:
    """A picture that is at hand."""

    info: ExampleInfo
    load: Callable[[], Picture]


def _shipped(name: str, file: str, title: str, credit: str) -> Example:
    return Example(ExampleInfo(name, title, credit), lambda: replace(read_picture(_FOLDER / file), name=name))


def _astronaut() -> Picture:
    from skimage import data

    return from_array(data.astronaut(), "astronaut")  # type: ignore[no-untyped-call]


_RENDERED = "Rendered by crossrig (CC0)"
EXAMPLES: Mapping[str, Example] = {
    example.info.name: example
    for example in (
        Example(ExampleInfo("astronaut", "Photograph", "Eileen Collins, NASA (public domain)"), _astronaut),
        _shipped("drawing", "drawn.png", "Drawing", "Lisa Wischofsky (CC0)"),
        _shipped("person", "person.jpg", "3D woman", _RENDERED),
        _shipped("man", "man.jpg", "3D man", _RENDERED),
        _shipped("toon", "toon.jpg", "Cartoon", _RENDERED),
        _shipped("avatar", "avatar.png", "Avatar", "Johan Melin (CC BY 4.0)"),
    )
}
"""Name -> example, in the order in which a person should see them."""
