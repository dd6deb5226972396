"""Where a face's points are, by eyes we did not train: dlib's frontal face detector and its shape predictor.

The predictor, the ensemble of regression trees of Kazemi and Sullivan (2014), was trained by dlib's author on iBUG 300-W (for research
only). It comes with the same optional package as the face descriptor (`metrics.identity`), serves evaluation only and is never shipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossrig.metrics.identity import SIDE, model_folder, pixels
from crossrig.metrics.obedience import Answer

_POINTS = "shape_predictor_68_face_landmarks.dat"
_LEAST = -0.5  # score of a find: faces turned by 40 degrees get less than the 0 of the detector's own default
_MARGIN = SIDE // 4  # px added around a picture, whose face fills most of it
#: Points inside the face. Those of the outline (0 to 16) lie on the silhouette for dlib, and on the head for us.
INSIDE = slice(17, 68)


class PointFinder:
    """Pictures -> 68 points of the face that is found in each, if one is: those of a head that is turned by more than about 40 degrees are
    not."""

    def __init__(self, folder: Path) -> None:
        import dlib

        self._detector: Any = dlib.get_frontal_face_detector()
        self._predictor: Any = dlib.shape_predictor(str(folder / _POINTS))

    @classmethod
    def installed(cls) -> PointFinder | None:
        """The finder, or None when the package is not installed."""
        folder = model_folder()
        return cls(folder) if folder is not None and (folder / _POINTS).is_file() else None

    def find(self, images: Tensor) -> Tensor:
        """(B,3,R,R) in [-1,1] -> (B,68,2), NDC: x to the right, y up; not a number where no face was found."""
        found = torch.from_numpy(np.stack([self._points(picture) for picture in pixels(images)])).float()
        return ((found + 0.5) * (2.0 / SIDE) - 1.0) * torch.tensor([1.0, -1.0])

    def _points(self, picture: NDArray[np.uint8]) -> NDArray[np.float64]:
        """(SIDE,SIDE,3) -> (68,2): columns and rows."""
        wide = np.pad(picture, ((_MARGIN, _MARGIN), (_MARGIN, _MARGIN), (0, 0)), mode="edge")
        boxes, scores, _ = self._detector.run(wide, 0, _LEAST)
        if not len(boxes):
            return np.full((68, 2), np.nan)
        best = boxes[int(np.argmax(scores))]
        return np.array([(point.x, point.y) for point in self._predictor(wide, best).parts()], dtype=np.float64) - _MARGIN


def answer_of_points(commanded: Tensor, moved: Tensor) -> tuple[Answer, Tensor]:
    """Where points (N,68,2) were commanded to move, and where dlib sees them move, those inside the face, each as much as another; and
    (N,) of whom it found the points both before and after. The others ask for nothing and answer nothing."""
    asked, seen = (points[:, INSIDE].flatten(1) for points in (commanded, moved))
    found = seen.isfinite().all(1)
    asked, seen = (torch.where(found[:, None], points, torch.zeros_like(points)) for points in (asked, seen))
    return Answer(asked.square().sum(1), (seen - asked).square().sum(1), (seen * asked).sum(1)), found
