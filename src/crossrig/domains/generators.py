"""Generators by the names people use on the command line: a shipped domain, a domain of their own, or a file."""

from __future__ import annotations

from pathlib import Path

from crossrig import assets
from crossrig.config import suggest
from crossrig.errors import UserError

_PREFIX = "generator-"
_ENDING = ".safetensors"


def domain_names() -> tuple[str, ...]:
    """The domains whose generators are shipped, and those in the folder of `CROSSRIG_ASSETS`."""
    shipped = [name.removeprefix(_PREFIX) for name in assets.ASSETS if name.startswith(_PREFIX)]
    found = [path.name for folder in assets.folders() for path in sorted(folder.glob(f"{_PREFIX}*{_ENDING}"))]
    own = [name.removeprefix(_PREFIX).removesuffix(_ENDING) for name in found]
    return tuple(dict.fromkeys([*shipped, *own]))


def installed_domains() -> tuple[str, ...]:
    """Those of `domain_names` whose generators are at hand."""
    return tuple(name for name in domain_names() if f"{_PREFIX}{name}" not in assets.ASSETS or assets.find(f"{_PREFIX}{name}"))


def generator_file(word: str | Path) -> Path:
    """The checkpoint of `human`, `toon`, another `generator-NAME.safetensors` beside the networks in use, or the file itself.

    What ends in .safetensors or holds a folder is a file. Raises UserError when there is no such domain or file.
    """
    text = str(word)
    if text.endswith(_ENDING) or Path(text).name != text:
        if not Path(text).is_file():
            raise UserError(f"There is no generator checkpoint {text}; give a .safetensors file or one of {', '.join(domain_names())}.")
        return Path(text)
    if f"{_PREFIX}{text}" in assets.ASSETS:
        return assets.require(f"{_PREFIX}{text}")
    if text in domain_names():
        return next(path for folder in assets.folders() if (path := folder / f"{_PREFIX}{text}{_ENDING}").is_file())
    raise UserError(
        f'There is no domain "{text}"; give one of {", ".join(domain_names())}, or a .safetensors file.{suggest(text, domain_names())}'
    )


def domain_label(word: str | Path) -> str:
    """What to call the domain of `generator_file(word)` in captions and sentences: its name, or that of the file without the ending."""
    return Path(word).name.removesuffix(_ENDING).removeprefix(_PREFIX)
