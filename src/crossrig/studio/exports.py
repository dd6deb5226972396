"""Files that a person carries away. Called on the worker's thread."""

from __future__ import annotations

import json

from crossrig.data.metadata import DigitalSource, encode_picture
from crossrig.face3d.controls import apply
from crossrig.face3d.gltf import glb_bytes
from crossrig.face3d.obj import obj_text
from crossrig.studio.work import Work


def picture_file(work: Work, ending: str) -> bytes:
    """The edited picture at the size of the picture given, with what was done to it. Raises UserError before there is one."""
    with work.worker.changed:
        _ = work.subject
        values = dict(work.edits.values)
        work.arm(values)
    recipe = json.dumps({"domain": work.session.domain, "controls": values})
    return encode_picture(work.session.render(), DigitalSource.EDITED, ending, recipe)


def face_file(work: Work, ending: str) -> bytes:
    """The 3D face under the edit, as `.obj` or `.glb`. Raises UserError before there is one."""
    with work.worker.changed:
        _ = work.subject
        params = apply(work.session.params, work.edits.values)
    model = work.session.networks.model
    return glb_bytes(model, params) if ending == ".glb" else obj_text(model, params).encode()
