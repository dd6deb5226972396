"""Whether it is still the same person, by eyes we did not train: dlib's face descriptor.

dlib's residual network (King 2017; public domain) gives 128 numbers a face. It ships with the optional package `face_recognition_models`
(`pip install crossrig[identity]`) and serves evaluation only. Without it there is simply no identity figure.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from crossrig.data.detect import dlib_box

PACKAGE = "face_recognition_models"
_NETWORK = "dlib_face_recognition_resnet_model_v1.dat"
_POINTS = "shape_predictor_5_face_landmarks.dat"
SIDE = 256  # px that pictures are enlarged to: the alignment was made for faces of about 150
_CHIP = 150  # px of dlib's aligned faces
_BATCH = 32


def model_folder() -> Path | None:
    """Where the package keeps its models, or None when it is not installed. (It is only a folder: importing it needs pkg_resources.)"""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        return None
    folder = Path(found.submodule_search_locations[0]) / "models"
    return folder if (folder / _NETWORK).is_file() and (folder / _POINTS).is_file() else None


class FaceDescriptor:
    """Pictures framed as the camera of the face model frames them -> descriptors. The face is where the framing says: no detector that
    could miss one, so that every picture counts."""

    def __init__(self, folder: Path) -> None:
        import dlib

        self._network: Any = dlib.face_recognition_model_v1(str(folder / _NETWORK))
        self._points: Any = dlib.shape_predictor(str(folder / _POINTS))

    @classmethod
    def installed(cls) -> FaceDescriptor | None:
        """The descriptor, or None when the package is not installed."""
        folder = model_folder()
        return cls(folder) if folder is not None else None

    def describe(self, images: Tensor) -> Tensor:
        """(B,3,R,R) in [-1,1] -> (B,128)."""
        import dlib

        box = dlib.rectangle(*(round(edge) for edge in dlib_box(SIDE)))
        chips = [dlib.get_face_chip(picture, self._points(picture, box), size=_CHIP) for picture in pixels(images)]
        found: list[Tensor] = []
        for start in range(0, len(chips), _BATCH):
            described = self._network.compute_face_descriptor(chips[start : start + _BATCH])
            found += [torch.from_numpy(np.array(vector)) for vector in described]
        return torch.stack(found).float()


def pixels(images: Tensor) -> NDArray[np.uint8]:
    """(B,3,R,R) in [-1,1] -> pictures (B,SIDE,SIDE,3) as dlib takes them."""
    large = functional.interpolate(images, (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=images.shape[-1] > SIDE)
    found: NDArray[np.uint8] = ((large + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return found


def same_person(first: Tensor, second: Tensor) -> Tensor:
    """Cosine (B,) of descriptors (B,128). dlib's are all near one another: read it against the cosine of different people."""
    return functional.cosine_similarity(first, second, dim=1)
