"""Make the hair data of the shipped head: `python scripts/build_scalp.py`, after every change of the head or of `scalp_fitting`."""

from __future__ import annotations

import numpy as np
import torch

from crossrig import checkpoint
from crossrig.assets import shipped_folder
from crossrig.data.portraits import studio
from crossrig.data.scalp import LARGE, fingerprint, scalp_arrays
from crossrig.data.scalp_fitting import fit_scalp


def main() -> int:
    template = studio().template
    arrays = scalp_arrays(fit_scalp(template))
    # The two large grids in half precision: near the skin that is a micrometre, and half the size.
    tensors = {name: torch.from_numpy(array.astype(np.float16 if name in LARGE else array.dtype)) for name, array in arrays.items()}
    header = {
        "kind": "scalp", "template": fingerprint(template), "made_by": "scripts/build_scalp.py", "licence": "Apache-2.0",
        "source": "head.safetensors",
    }  # fmt: skip
    path = shipped_folder() / "scalp.safetensors"
    checkpoint.save(path, tensors, header)
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, SHA-256 {checkpoint.sha256(path)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
