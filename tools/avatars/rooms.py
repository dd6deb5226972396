"""Photographs of places with nobody in them, for `crossrig train detector --without`: python rooms.py FOLDER

Eighteen panoramas of Poly Haven (CC0), as the npm package @pmndrs/assets brings them (`npm install` first), read with the package OpenEXR
(`pip install OpenEXR`), exposed so that half of each is darker than mid grey, and written as PNG.
"""

from __future__ import annotations

import base64
import sys
import tempfile
from pathlib import Path

import numpy as np
import OpenEXR  # type: ignore[import-not-found]
from PIL import Image

_MIDDLE = 0.35  # linear: where the median is put


def main() -> int:
    if len(sys.argv) != 2:
        print("rooms.py: name a folder for the pictures: python rooms.py FOLDER", file=sys.stderr)
        return 2
    folder, source = Path(sys.argv[1]), Path(__file__).parent / "node_modules/@pmndrs/assets/hdri"
    files = sorted(source.glob("*.exr.js"))
    if not files:
        print(f"rooms.py: there are no panoramas in {source}: say `npm install` in {Path(__file__).parent} first.", file=sys.stderr)
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        text = file.read_text(encoding="ascii")
        with tempfile.NamedTemporaryFile(suffix=".exr") as packed:
            packed.write(base64.b64decode(text[text.index("base64,") + 7 : text.rindex("'")]))
            packed.flush()
            with OpenEXR.File(packed.name) as panorama:
                linear = panorama.channels()["RGB"].pixels.astype(np.float32)  # (H, W, 3)
        shown = np.clip(linear * (_MIDDLE / np.median(linear.mean(-1))), 0, 1) ** (1 / 2.2)
        Image.fromarray((255 * shown).astype(np.uint8)).save(folder / f"{file.name.removesuffix('.exr.js')}.png")
    (folder / "CREDITS.txt").write_text("Panoramas by Poly Haven (https://polyhaven.com/hdris), CC0, as @pmndrs/assets brings them.\n")
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
