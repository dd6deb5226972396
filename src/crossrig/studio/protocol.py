"""Everything that the page and the server say to each other.

A message is a JSON object whose `type` is the name of a class below. Pictures travel as binary messages: four bytes with the length (big
endian) of a `Frame` as JSON, the `Frame`, the file of the picture. `page/protocol.js`, the page's types, is made from this file by
`python -m crossrig.studio.page_types`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from crossrig.errors import UserError
from crossrig.studio import codec

VERSION = 2
"""Goes up when a page of before could misunderstand."""

DomainWish = str  # "auto", or one of the domains in `Welcome`
Extent = Literal["face", "whole"]
Attribute = Literal["pose", "expression", "shape", "albedo", "illumination"]
HandleFollows = Literal["expression", "shape"]
FrameKind = Literal["result", "before", "model", "thumb", "faces", "clip", "domain", "blend"]
Easing = Literal["linear", "smooth"]
ClipFormat = Literal["mp4", "gif", "png"]


# -- parts ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ControlInfo:
    """One slider."""

    name: str
    title: str
    group: str
    section: str
    minimum: float
    maximum: float
    unit: str
    meaning: str
    relative: bool
    """0 is the face as it was; otherwise the value read from the picture is."""
    weak: bool
    """Measured to have little effect."""
    attribute: Attribute


@dataclass(frozen=True)
class LookInfo:
    """A preset."""

    name: str
    title: str
    group: str


@dataclass(frozen=True)
class ExampleInfo:
    """A picture to start with."""

    name: str
    title: str
    credit: str


@dataclass(frozen=True)
class Entry:
    """A step of the history."""

    number: int
    label: str


@dataclass(frozen=True)
class Meter:
    """How much an attribute was asked to change and how much a network that took no part in the edit sees it change."""

    attribute: str
    asked: float
    seen: float
    unit: str


@dataclass(frozen=True)
class Point:
    """A place in the picture."""

    x: float
    """Share of the width, from the left: 0 to 1."""
    y: float
    """Share of the height, from the top: 0 to 1."""


@dataclass(frozen=True)
class Box:
    """A square in the picture, round a head that was found."""

    left: float
    """Shares of the width and the height; what leaves the picture is below 0 or above 1."""
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Handle:
    """A place on the face that can be dragged."""

    name: str
    title: str
    x: float
    """Shares of the width and the height of the picture that is shown, from its left and top."""
    y: float


@dataclass(frozen=True)
class Keyframe:
    """The controls at a moment of a clip; those not named are as in the picture."""

    at: float
    """Seconds."""
    values: Mapping[str, float]


# -- from the page --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hello:
    """The first message. Without a session, or with one that nobody knows any more, a new one is opened."""

    version: int
    session: str | None = None


@dataclass(frozen=True)
class UseExample:
    """Take one of the example pictures."""

    name: str
    domain: DomainWish = "auto"


@dataclass(frozen=True)
class UseSample:
    """Take a person who does not exist, painted by a generator: the first of the domains, if it is not named."""

    seed: int
    """0 to 999999."""
    domain: DomainWish = "auto"


@dataclass(frozen=True)
class PickFace:
    """The answer to `FacesFound`: this one of them."""

    number: int
    """From 0."""


@dataclass(frozen=True)
class PlaceFace:
    """The answer to `FacesFound`: it is here. Five points: the eyes, the tip of the nose, the corners of the mouth."""

    points: tuple[Point, ...]


@dataclass(frozen=True)
class SetControls:
    """Set controls; those set before keep their values."""

    values: Mapping[str, float]
    settled: bool
    """The hand has let go: this is a step of the history."""


@dataclass(frozen=True)
class ClearControls:
    """Let controls be what the picture says."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class ApplyLook:
    """Set what a preset sets, instead of what was set of its kind before."""

    name: str


@dataclass(frozen=True)
class UseLook:
    """Set what a look of one's own sets; other controls keep their values."""

    title: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class Lock:
    """Let presets, looks, copies and `Reset` leave an attribute alone, or no longer."""

    attribute: Attribute
    on: bool


@dataclass(frozen=True)
class Reset:
    """Let all controls be what the picture says."""


@dataclass(frozen=True)
class Undo:
    """One step back."""


@dataclass(frozen=True)
class Redo:
    """One step forward again."""


@dataclass(frozen=True)
class GoTo:
    """To a step of the history."""

    number: int


@dataclass(frozen=True)
class Show:
    """What of the picture the page shows."""

    extent: Extent


@dataclass(frozen=True)
class ShowDomains:
    """Show the edit in every domain, and one between two; or no longer."""

    on: bool
    first: str
    second: str
    share: float
    """Of the second: 0 to 1."""


@dataclass(frozen=True)
class ShowHandles:
    """Tell where the handles are, now and after every change; or no longer."""

    on: bool


@dataclass(frozen=True)
class DragHandle:
    """Bring a handle here, as nearly as the controls can."""

    name: str
    x: float
    """As in `Handle`."""
    y: float
    what: HandleFollows
    """What follows."""
    settled: bool
    """The hand has let go: this is a step of the history."""


@dataclass(frozen=True)
class MakeClip:
    """Make a film of the controls moving from keyframe to keyframe."""

    keyframes: tuple[Keyframe, ...]
    easing: Easing
    frames_per_second: int
    format: ClipFormat


@dataclass(frozen=True)
class PreviewClip:
    """Show the frames of such a film, small and quickly drawn."""

    keyframes: tuple[Keyframe, ...]
    easing: Easing


@dataclass(frozen=True)
class Cancel:
    """Stop the slow work that is under way: taking in a picture, or making a clip. Also instead of an answer to `FacesFound`."""


ClientMessage: TypeAlias = (
    Hello | UseExample | UseSample | PickFace | PlaceFace | SetControls | ClearControls | ApplyLook | UseLook | Lock | Reset
    | Undo | Redo | GoTo | Show | ShowDomains | ShowHandles | DragHandle | MakeClip | PreviewClip | Cancel
)  # fmt: skip


# -- from the server ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Welcome:
    """The answer to `Hello`."""

    session: str
    """Whoever knows this may see and edit the session: it is a secret."""
    fresh: bool
    """The session asked for was not found."""
    controls: tuple[ControlInfo, ...]
    looks: tuple[LookInfo, ...]
    examples: tuple[ExampleInfo, ...]
    domains: tuple[str, ...]
    folder: str
    """Where work is kept."""


@dataclass(frozen=True)
class Progress:
    """How slow work comes along."""

    what: str
    step: int
    steps: int


@dataclass(frozen=True)
class FacesFound:
    """A person must say which face, or where it is: the picture has several, or none was found. A frame shows the picture."""

    sentence: str
    faces: tuple[Box, ...]
    """The largest first."""


@dataclass(frozen=True)
class Opened:
    """There is a picture now."""

    name: str
    domain: str
    width: int
    height: int
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Edited:
    """The controls and the history as they are now."""

    values: Mapping[str, float]
    """Controls that are set."""
    shown: Mapping[str, float]
    """What every slider should stand at: the face under the edit, as far as a control can say it."""
    entries: tuple[Entry, ...]
    """The last steps of the history."""
    position: int
    """Number of the step that is shown."""
    can_undo: bool
    can_redo: bool
    locked: tuple[Attribute, ...]


@dataclass(frozen=True)
class Frame:
    """What the picture is that follows."""

    kind: FrameKind
    revision: int
    """Of the edit; later edits have larger numbers."""
    refined: bool
    """False: a quick answer, a better one follows."""
    answers: int
    """Number of the `SetControls` (counted from 1) that was the last to be seen."""
    entry: int
    """The step of the history that a thumb belongs to; the number, from 0, of a clip's frame, or of a domain in `Welcome`."""


@dataclass(frozen=True)
class Handles:
    """Where the handles are."""

    revision: int
    handles: tuple[Handle, ...]


@dataclass(frozen=True)
class Meters:
    """What the edit did, as the judge sees it."""

    revision: int
    rows: tuple[Meter, ...]


@dataclass(frozen=True)
class Saved:
    """Everything up to this revision is on disk."""

    revision: int


@dataclass(frozen=True)
class ClipPreviewed:
    """All frames of the preview are sent, or on their way."""

    frames: int
    frames_per_second: float


@dataclass(frozen=True)
class ClipReady:
    """The clip can be fetched."""

    name: str
    frames: int


@dataclass(frozen=True)
class Copied:
    """An attribute of another picture was set."""

    attribute: Attribute
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Stopped:
    """The slow work was stopped as wished."""


@dataclass(frozen=True)
class Problem:
    """Something could not be done; one sentence for the person."""

    sentence: str


ServerMessage: TypeAlias = (
    Welcome | Progress | FacesFound | Opened | Edited | Handles | Meters | Saved | ClipPreviewed | ClipReady | Copied | Stopped | Problem
)  # fmt: skip

PARTS: tuple[type, ...] = (ControlInfo, LookInfo, ExampleInfo, Entry, Meter, Point, Box, Handle, Keyframe, Frame)
CLIENT: Mapping[str, type] = {kind.__name__: kind for kind in ClientMessage.__args__}
SERVER: Mapping[str, type] = {kind.__name__: kind for kind in ServerMessage.__args__}


def parse(text: str) -> ClientMessage:
    """A message of the page. Raises UserError, and nothing else, for everything that is none."""
    content = codec.parse_json(text)
    if not isinstance(content, dict):
        raise UserError("A message must be an object.")
    name = content.pop("type", None)
    if not isinstance(name, str) or name not in CLIENT:
        raise UserError(f"There is no such message; the messages are {', '.join(CLIENT)}.")
    message: ClientMessage = codec.read(CLIENT[name], content)
    return message


def write(message: ClientMessage | ServerMessage) -> str:
    """A message as JSON."""
    return json.dumps({"type": type(message).__name__, **codec.plain(message)}, allow_nan=False, ensure_ascii=False)


def pack_frame(frame: Frame, picture: bytes) -> bytes:
    """A binary message."""
    head = json.dumps(codec.plain(frame), allow_nan=False).encode()
    return len(head).to_bytes(4, "big") + head + picture


def unpack_frame(content: bytes) -> tuple[Frame, bytes]:
    """Inverse of `pack_frame`."""
    end = 4 + int.from_bytes(content[:4], "big")
    parsed: Any = json.loads(content[4:end])
    return codec.read(Frame, parsed), content[end:]
