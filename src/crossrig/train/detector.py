"""Train the detector of drawn faces.

Heads are pasted at random places, sizes and tilts onto random backdrops with clutter: shapes, scribbles, pieces of portraits without a
whole face, and drawings of things. They are of two kinds. Portraits of every style (`crossrig synth`) are redrawn once more (painters'
filters, pencil, poster colours, line art); where the head is follows exactly from the label: the projected origin of the head and its
depth. Drawings by designers (`tools/avatars`) have no labels, but one frame for a whole set, which its `framing.json` describes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from crossrig.config import setting
from crossrig.data.align import Framing
from crossrig.data.detector import HALF_RANGE, STRIDE, TYPICAL_HALF, DetectorNet, decode, save_detector
from crossrig.data.framings import framing_of, framing_of_folder
from crossrig.data.images import open_images
from crossrig.data.portrait_set import PortraitSet, load_portraits
from crossrig.errors import UserError
from crossrig.face3d.params import FaceParams
from crossrig.train.parallel import Processes
from crossrig.train.run import Run
from crossrig.train.state import Part, collect, restore

Pixels = NDArray[np.uint8]
Things = Sequence[Pixels]  # a set of pictures without a face
_SIDE = 128  # px of a training picture
_PORTRAIT = 128  # px at which portraits are kept
_TILT = 15.0  # degrees
_THING = 512  # px: longer side at which pictures without a face are kept
_EMPTY = 0.3  # share of the scenes without a head


@dataclass(frozen=True)
class DetectorTraining:
    """Settings of a run."""

    data: tuple[Path, ...] = setting((), "portrait archives made by `crossrig synth`, of every style")
    drawn: tuple[Path, ...] = setting((), "folders of drawn heads, each with the framing.json that tools/avatars writes")
    without: tuple[Path, ...] = setting((), "folders or archives of pictures without any face")
    outdir: Path = setting(Path("runs/detector"), "folder of the run; an existing one is continued")
    steps: int = setting(3000, "steps")
    batch: int = setting(32, "pictures a step")
    lr: float = setting(2e-3, "peak learning rate")
    width: int = setting(48, "channels of the head; a multiple of 8")
    limit: int | None = setting(1000, "read at most this many pictures of each archive and folder")
    seed: int = setting(0, "seed")
    device: str = setting("cpu", "cpu or cuda")
    checkpoint_seconds: float = setting(120.0, "time between two checkpoints")


@dataclass(frozen=True)
class Head:
    """A picture (S, S, 3) in some style and where its head is, as shares of the side (x right, y down)."""

    pixels: Pixels
    framing: Framing

    def mirrored(self) -> Head:
        return Head(np.ascontiguousarray(self.pixels[:, ::-1]), replace(self.framing, x=1.0 - self.framing.x))


@dataclass(frozen=True)
class Scene:
    """A training picture (S, S, 3) and the heads in it, in pixels."""

    pixels: Pixels
    heads: tuple[Framing, ...]


def redraw(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """The portrait in a random drawing style, or as it is."""
    style = random.integers(9)
    if style == 0:
        out = cv2.stylization(pixels, sigma_s=float(random.uniform(10, 60)), sigma_r=float(random.uniform(0.2, 0.6)))
    elif style == 1:
        grey, colour = cv2.pencilSketch(pixels, sigma_s=float(random.uniform(8, 40)), sigma_r=0.08, shade_factor=0.04)
        out = colour if random.random() < 0.5 else cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    elif style == 2:  # poster colours with outlines
        levels = int(random.integers(3, 7))
        smooth = cv2.bilateralFilter(pixels, 7, 60, 7)
        out = (np.rint(smooth / 255.0 * (levels - 1)) * (255.0 / (levels - 1))).astype(np.uint8)
        if random.random() < 0.6:
            out = out * (_lines(pixels, random)[..., None] > 127)
    elif style == 3:  # line art
        out = cv2.cvtColor(_lines(pixels, random), cv2.COLOR_GRAY2RGB)
    elif style == 4:  # line art over flat skin and hair: two or three tones
        grey = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (0, 0), 2.0)
        cuts = np.sort(random.uniform(40, 200, 2))
        tones = np.sort(random.uniform(0, 255, (3, 3)), axis=0)
        out = tones[np.digitize(grey, cuts)].astype(np.uint8) * (_lines(pixels, random)[..., None] > 127)
    elif style == 5:
        out = cv2.edgePreservingFilter(pixels, flags=1, sigma_s=float(random.uniform(20, 60)), sigma_r=float(random.uniform(0.3, 0.6)))
    else:
        out = pixels
    out = np.asarray(out, dtype=np.uint8)
    if random.random() < 0.25:
        out = np.repeat(cv2.cvtColor(out, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    return np.ascontiguousarray(out)


def _lines(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """Dark outlines on white, (H, W)."""
    grey = cv2.GaussianBlur(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), (0, 0), float(random.uniform(0.8, 1.6)))
    block = int(random.choice([7, 9, 11, 15]))
    drawn = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_GAUSSIAN_C, cv2.THRESH_BINARY, block, float(random.uniform(2, 6)))
    return np.asarray(cv2.GaussianBlur(drawn, (0, 0), 0.6), dtype=np.uint8)


def recolour(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """A drawing in other colours, in grey, or as it is."""
    kind = random.random()
    if kind < 0.3:
        hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(int) + int(random.integers(180))) % 180
        pixels = np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), dtype=np.uint8)
    elif kind < 0.5:
        pixels = np.repeat(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    return np.ascontiguousarray(pixels)


def drawn_heads(folder: Path, limit: int | None, seed: int) -> list[Head]:
    """The heads of a folder that `tools/avatars` wrote."""
    framing = framing_of_folder(folder)
    random = np.random.default_rng([seed, 4])
    return [Head(recolour(pixels, random), framing) for pixels in islice(open_images(folder, labelled=False).read_all(_PORTRAIT), limit)]


def faceless(path: Path, limit: int | None) -> list[Pixels]:
    """The pictures of a folder or archive, the longer side no more than _THING px."""
    found = []
    for pixels in islice(open_images(path, labelled=False).read_all(), limit):
        scale = min(1.0, _THING / max(pixels.shape[:2]))
        size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
        found.append(np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8))
    return found


def make_heads(portraits: PortraitSet, seed: int) -> list[Head]:
    """Every portrait in one random style, with its framing."""
    random = np.random.default_rng([seed, 1])
    heads = []
    for picture, label in zip(portraits.pictures, portraits.labels, strict=True):
        pixels = np.ascontiguousarray(picture.permute(1, 2, 0).numpy())
        heads.append(Head(redraw(pixels, random), framing_of(FaceParams.unpack(label[None]))))
    return heads


def make_scene(heads: Sequence[Head], random: np.random.Generator, things: Sequence[Things] = (), side: int = _SIDE) -> Scene:
    """A random picture with none, one or two heads; `things` are sets of pictures without any, each seen as often as another."""
    canvas = _backdrop(random, side, things)
    _clutter(canvas, heads, things, random)
    if random.random() < _EMPTY:
        return Scene(_finish(canvas, random), ())
    placed: list[Framing] = []
    for _ in range(2 if random.random() < 0.25 else 1):
        wished = Framing(
            float(random.uniform(0.12, 0.88)) * side,
            float(random.uniform(0.12, 0.88)) * side,
            math.exp(float(random.uniform(math.log(HALF_RANGE[0] * 0.9), math.log(HALF_RANGE[1] * 1.1)))),
        )
        if all(math.hypot(wished.x - other.x, wished.y - other.y) > 1.3 * (wished.half + other.half) for other in placed):
            head = heads[int(random.integers(len(heads)))]
            _paste(canvas, head.mirrored() if random.random() < 0.5 else head, wished, random, alone=not placed)
            placed.append(wished)
    return Scene(_finish(canvas, random), tuple(placed))


def _paste(canvas: Pixels, head: Head, wished: Framing, random: np.random.Generator, alone: bool) -> None:
    """Put a head where ``wished`` says, over the canvas; alone it may bring its own background to fill the picture."""
    side, own = canvas.shape[0], head.pixels.shape[0]
    scale = wished.half / (head.framing.half * own)  # canvas px per portrait px
    # scaled first, by areas, then tilted and moved; its border repeats outwards, so that no second, mirrored head appears
    size = max(2, round(own * scale))
    scaled = cv2.resize(head.pixels, (size, size), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    middle = head.framing.x * size - 0.5, head.framing.y * size - 0.5
    place = cv2.getRotationMatrix2D(middle, float(random.uniform(-_TILT, _TILT)), 1.0)
    place[:, 2] += wished.x - 0.5 - middle[0], wished.y - 0.5 - middle[1]
    seen = cv2.warpAffine(scaled, place, (side, side), borderMode=cv2.BORDER_REPLICATE)
    if alone and random.random() < 0.4:
        canvas[:] = seen
        return
    rows, columns = np.mgrid[0:side, 0:side] + 0.5
    inside = cv2.warpAffine(np.ones((size, size), np.uint8), place, (side, side)) > 0
    if random.random() < 0.5:  # an oval around the head, as if cut out
        reach_x, reach_y = random.uniform(0.55, 0.95, 2) * wished.half
        inside &= ((columns - wished.x) / reach_x) ** 2 + ((rows - wished.y) / reach_y) ** 2 < 1
    weight = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), float(random.uniform(0.3, 2.0)))[..., None]
    canvas[:] = (canvas + weight * (seen.astype(np.float32) - canvas)).astype(np.uint8)


def _backdrop(random: np.random.Generator, side: int, things: Sequence[Things]) -> Pixels:
    if things and random.random() < 0.5:
        return _piece(things, side, random)
    kind = random.integers(4)
    if kind == 0:
        return np.broadcast_to(random.integers(0, 256, 3, dtype=np.uint8), (side, side, 3)).copy()
    cells = 2 if kind == 1 else int(random.integers(3, 24))
    coarse = random.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
    if random.random() < 0.5:  # muted colours
        coarse = (coarse * 0.4 + random.integers(0, 150, 3)).astype(np.uint8)
    method = cv2.INTER_NEAREST if kind == 3 and random.random() < 0.3 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(coarse, (side, side), interpolation=method), dtype=np.uint8)


def _piece(things: Sequence[Things], side: int, random: np.random.Generator) -> Pixels:
    """A square (side, side, 3) out of a picture of `things`, from a quarter of it to all of its shorter side."""
    of_one = things[int(random.integers(len(things)))]
    thing = of_one[int(random.integers(len(of_one)))]
    reach = int(random.integers(min(thing.shape[:2]) // 4, min(thing.shape[:2]) + 1))
    top, left = (int(random.integers(0, extent - reach + 1)) for extent in thing.shape[:2])
    cut = recolour(thing[top : top + reach, left : left + reach], random)
    return np.asarray(cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA if reach > side else cv2.INTER_LINEAR), dtype=np.uint8)


def _clutter(canvas: Pixels, heads: Sequence[Head], things: Sequence[Things], random: np.random.Generator) -> None:
    """Shapes, lines, pieces of portraits and drawn things: nothing of it is a face."""
    side = canvas.shape[0]
    for _ in range(int(random.integers(0, 8))):
        colour = [int(value) for value in random.integers(0, 256, 3)]
        x, y, a, b = (int(value) for value in random.integers(0, side, 4))
        thickness = int(random.choice([-1, 1, 2, 4]))
        kind = random.integers(6 if things else 5)
        if kind == 0:
            cv2.rectangle(canvas, (x, y), (a, b), colour, thickness)
        elif kind == 1:
            reach = (max(2, a // 3), max(2, b // 3))
            cv2.ellipse(canvas, (x, y), reach, float(random.uniform(0, 180)), 0, 360, colour, thickness)
        elif kind == 2:
            cv2.line(canvas, (x, y), (a, b), colour, max(1, thickness))
        elif kind == 3:
            points = random.integers(0, side, (int(random.integers(3, 6)), 2)).astype(np.int32)
            cv2.fillPoly(canvas, [points], colour)
        elif kind == 5:
            extent = int(random.integers(16, side // 2))
            y, x = min(y, side - extent), min(x, side - extent)
            canvas[y : y + extent, x : x + extent] = _piece(things, extent, random)
        else:  # a piece of a portrait, too little to be a face, any way round
            donor = heads[int(random.integers(len(heads)))].pixels
            extent = int(random.integers(10, 40))
            top, left = (int(random.integers(0, donor.shape[0] - extent)) for _ in range(2))
            piece = np.rot90(donor[top : top + extent, left : left + extent], int(random.integers(1, 4)))
            y, x = min(y, side - extent), min(x, side - extent)
            canvas[y : y + extent, x : x + extent] = piece


def _finish(canvas: Pixels, random: np.random.Generator) -> Pixels:
    """Brightness, contrast, blur and noise of the whole picture."""
    values: NDArray[np.floating] = canvas.astype(np.float32)
    values = (values - 128) * float(random.uniform(0.6, 1.3)) + 128 + float(random.uniform(-30, 30))
    if random.random() < 0.3:
        values = np.asarray(cv2.GaussianBlur(values, (0, 0), float(random.uniform(0.3, 1.2))), dtype=np.float32)
    if random.random() < 0.3:
        values = values + random.normal(0, float(random.uniform(1, 12)), values.shape)
    return np.clip(values, 0, 255).astype(np.uint8)


def targets(scenes: list[Scene], side: int = _SIDE) -> tuple[Tensor, Tensor, Tensor]:
    """What the network should answer: heat (B, h, w), geometry (B, 3, h, w), and where geometry counts (B, h, w)."""
    cells = side // STRIDE
    centres = (torch.arange(cells) + 0.5) * STRIDE
    heat = torch.zeros(len(scenes), cells, cells)
    geometry = torch.zeros(len(scenes), 3, cells, cells)
    counts = torch.zeros(len(scenes), cells, cells)
    for index, scene in enumerate(scenes):
        for head in scene.heads:
            right = ((head.x - centres) / STRIDE)[None, :].expand(cells, cells)
            down = ((head.y - centres) / STRIDE)[:, None].expand(cells, cells)
            near = (right.abs() < 1.5) & (down.abs() < 1.5)
            bump = torch.exp(-(right.square() + down.square()) / (2 * 0.7**2))
            bump[(right.abs() <= 0.5) & (down.abs() <= 0.5)] = 1.0
            heat[index] = torch.maximum(heat[index], bump)
            geometry[index] = torch.where(
                near, torch.stack([right, down, torch.full_like(right, math.log(head.half / TYPICAL_HALF))]), geometry[index]
            )
            counts[index] = torch.maximum(counts[index], near.float())
    return heat, geometry, counts


def loss(output: Tensor, heat: Tensor, geometry: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Focal loss of the heat map (Zhou et al. 2019, equation 1) and mean absolute error of the geometry, output (B, 4, h, w)."""
    log_yes, log_no = F.logsigmoid(output[:, 0]), F.logsigmoid(-output[:, 0])
    probability = output[:, 0].sigmoid()
    positive = heat >= 1.0
    hits = ((1 - probability).square() * log_yes)[positive].sum()
    misses = (probability.square() * (1 - heat).pow(4) * log_no)[~positive].sum()
    number = positive.sum().clamp(min=1)
    apart = ((output[:, 1:] - geometry).abs().sum(1) * counts).sum() / counts.sum().clamp(min=1)
    return -(hits + misses) / number, apart


@torch.no_grad()
def figures(network: DetectorNet, scenes: list[Scene], device: str = "cpu") -> dict[str, float]:
    """Share of heads found (centre within 0.3 half sides, size within 1.3), and false finds per picture."""
    found = wrong = total = 0
    outputs = network(to_batch(scenes).to(device)).cpu()
    for scene, output in zip(scenes, outputs, strict=True):
        finds = decode(output)
        total += len(scene.heads)
        matched = set()
        for head in scene.heads:
            for index, (x, y, half, _) in enumerate(finds):
                close = math.hypot(x - head.x, y - head.y) < 0.3 * head.half
                if close and abs(math.log(half / head.half)) < math.log(1.3):
                    matched.add(index)
                    found += 1
                    break
        wrong += len(finds) - len(matched)
    return {"found": found / max(total, 1), "false_finds": wrong / len(scenes)}


def to_batch(scenes: list[Scene]) -> Tensor:
    """(B, 3, S, S) in [-1, 1]."""
    return torch.from_numpy(np.stack([scene.pixels for scene in scenes])).permute(0, 3, 1, 2).float() / 127.5 - 1.0


def train(config: DetectorTraining, portraits: PortraitSet | None = None) -> Path:
    """Train or resume the run in ``config.outdir``; returns ``detector.safetensors`` in it.

    ``portraits`` stand in for ``config.data``. Raises UserError when the archives cannot be read or hold too few portraits, and for several
    processes: the scenes, which take the time, are made one after the other.
    """
    if Processes.join().count > 1:
        raise UserError("The detector is trained by one process: start it without `accelerate launch`.")
    heads = make_heads(portraits or load_portraits(config.data, _PORTRAIT, config.limit), config.seed)
    heads += [head for folder in config.drawn for head in drawn_heads(folder, config.limit, config.seed)]
    things = [faceless(path, config.limit) for path in config.without]
    if len(heads) < 10:
        raise UserError(f"{len(heads)} portraits are too few to train a detector; make some thousands with `crossrig synth`.")
    np.random.default_rng([config.seed, 5]).shuffle(heads)
    held = len(heads) // 10
    held_random = np.random.default_rng([config.seed, 2])
    held_scenes = [make_scene(heads[:held], held_random, things) for _ in range(128)]
    torch.manual_seed(config.seed)
    network = DetectorNet(config.width).to(config.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(network.parameters(), lr=config.lr, weight_decay=1e-4)
    parts: dict[str, Part] = {"network": network, "optimiser": optimiser}
    path = config.outdir / "detector.safetensors"
    with Run.open(config.outdir, config) as run:
        step = 0
        if (latest := run.latest()) is not None:
            step = latest[0]
            restore(latest[1], parts)
        while step < config.steps:
            for group in optimiser.param_groups:
                group["lr"] = config.lr * min(1.0, step / 100 + 0.01) * (0.01 + 0.99 * (1 - step / config.steps))
            random = np.random.default_rng([config.seed, 3, step])
            scenes = [make_scene(heads[held:], random, things) for _ in range(config.batch)]
            output = network(to_batch(scenes).to(config.device))
            heat, geometry, counts = (part.to(config.device) for part in targets(scenes))
            focal, apart = loss(output, heat, geometry, counts)
            optimiser.zero_grad(set_to_none=True)
            (focal + apart).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimiser.step()
            step += 1
            run.progress(step, config.steps, focal=float(focal.detach()), apart=float(apart.detach()))
            if run.due(30.0, "log") or step == config.steps:
                run.log(step, focal=float(focal.detach()), apart=float(apart.detach()), **figures(network, held_scenes, config.device))
            if run.due(config.checkpoint_seconds) or step == config.steps:
                run.save(step, collect(parts))
    final = figures(network, held_scenes, config.device)
    save_detector(path, network.cpu(), {"figures": final, "steps": config.steps, "licence": "Apache-2.0"})
    return path
