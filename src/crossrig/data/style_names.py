"""The styles that people can be drawn in; here, so that the command line names them without loading what draws."""

from __future__ import annotations

from typing import Final, Literal, get_args

Style = Literal["photo", "toon", "statue", "painting", "sketch", "avatar"]
STYLES: Final[tuple[Style, ...]] = get_args(Style)
