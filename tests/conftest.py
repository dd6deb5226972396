"""Small stand-ins shared by several rooms: a face model of 120 vertices, a 32 px generator, portraits of coloured blobs."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest
import torch

from crossrig.checkpoint import sha256
from crossrig.data.portrait_set import PortraitSet
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import ATTRIBUTES, BLOCKS, FaceParams
from crossrig.gan.generator import Generator, GeneratorConfig
from crossrig.gan.weights import save_generator
from crossrig.inversion.encoder import EncoderConfig, encoder_for, save_encoder
from crossrig.rig.attributes import AttributePredictor, AttributePredictorConfig
from crossrig.rig.layers import editable
from crossrig.rig.manipulation import Manipulator, ManipulatorConfig, Rig
from crossrig.rig.reconstruction import Reconstruction, ReconstructionConfig
from crossrig.rig.weights import save_reconstruction, save_rig


@pytest.fixture(scope="session")
def tiny_model() -> FaceModel:
    """A bulging 10 x 12 sheet with random smooth bases; the outer vertices are neck, 68 of the others are landmarks."""
    random = torch.Generator().manual_seed(5)
    rows, columns = 10, 12
    v, u = torch.meshgrid(torch.linspace(-1, 1, rows), torch.linspace(-1, 1, columns), indexing="ij")
    mean = torch.stack([0.09 * u, -0.12 * v, 0.1 * (1 - 0.5 * (u**2 + v**2))], dim=-1).reshape(-1, 3)
    index = torch.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    faces = torch.cat([torch.stack([a, b, c], -1).reshape(-1, 3), torch.stack([a, c, d], -1).reshape(-1, 3)])

    def basis(count: int, scale: float) -> torch.Tensor:
        waves = torch.randn(count, 3, 4, generator=random)
        angles = torch.stack([u, v, u * v, torch.ones_like(u)], dim=-1).reshape(-1, 4)
        fade = 0.9 ** torch.arange(count)
        return scale * fade[:, None, None] * torch.sin(2 * torch.einsum("kci,vi->kvc", waves, angles))

    count = rows * columns
    face = index[1:-1, 1:-1].reshape(-1)
    return FaceModel(
        {
            "faces": faces,
            "uv": torch.stack([u, v], -1).reshape(-1, 2) * 0.5 + 0.5,
            "mean": mean,
            "shape_basis": basis(BLOCKS["shape"], 0.003),
            "expression_basis": basis(BLOCKS["expression"], 0.006),
            "albedo_mean": torch.full((count, 3), 0.6),
            "albedo_basis": basis(BLOCKS["albedo"], 0.04),
            "rotation_weight": torch.ones(count),
            "face_part": torch.zeros(len(faces), dtype=torch.uint8),
            "occlusion": torch.ones(count),
            "eye_direction": torch.zeros(count, 3),
            "base_vertex": torch.full((count,), -1),
            "landmark_index": face[:68],
            "region.face": face,
        }
    )


@pytest.fixture(scope="session")
def people() -> FaceParams:
    """64 random but typical faces."""
    random = torch.Generator().manual_seed(9)

    def normal(size: int) -> torch.Tensor:
        return torch.randn(64, size, generator=random)

    light = FaceParams.neutral(64).illumination * (1 + 0.2 * normal(1)) + 0.2 * normal(27)
    return FaceParams(
        shape=normal(80),
        expression=(0.3 * normal(52)).clamp(0, 1),
        albedo=normal(48),
        illumination=light,
        rotation=torch.deg2rad(normal(3) * torch.tensor([8.0, 18.0, 5.0])),
        translation=normal(3) * torch.tensor([0.008, 0.008, 0.06]),
    )


@pytest.fixture(scope="session")
def blobs(people: FaceParams) -> PortraitSet:
    """Pictures (64,3,32,32) of a disc that moves with yaw and pitch and is lit and coloured by its parameters, with their labels."""
    rows, columns = torch.meshgrid(torch.linspace(1, -1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    centre = torch.sin(people.rotation[:, :2]).flip(1)  # x by yaw, y by pitch
    distance = torch.hypot(columns - centre[:, :1, None], rows - centre[:, 1:, None])  # (64,32,32)
    disc = torch.sigmoid((0.6 - distance) * 12)
    colour = torch.sigmoid(people.albedo[:, :3] + people.illumination[:, :3] / math.sqrt(4 * math.pi))
    pictures = (disc[:, None] * colour[:, :, None, None] * 255).to(torch.uint8)
    return PortraitSet(pictures, people.pack(), torch.zeros(64, 4))


@pytest.fixture(scope="session")
def tiny_generator() -> Generator:
    """An untrained 32 px generator, frozen."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        generator = Generator(GeneratorConfig(resolution=32, z_dim=32, w_dim=32, channels=(16, 16, 8, 8), mapping_layers=2))
    return generator.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def tiny_assets(tmp_path_factory: pytest.TempPathFactory, tiny_generator: Generator, people: FaceParams) -> Path:
    """A folder with untrained networks of every kind that a session loads, made for one another; read-only by agreement."""
    folder = tmp_path_factory.mktemp("assets")
    with torch.random.fork_rng():
        torch.manual_seed(6)
        child = copy.deepcopy(tiny_generator)
        for parameter in child.synthesis.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        save_generator(folder / "generator-human.safetensors", tiny_generator)
        save_generator(folder / "generator-toon.safetensors", child)
        for name in ("reconstruction", "judge"):
            network = Reconstruction(ReconstructionConfig(network="resnet", size=32, width=8, mixed=8, hidden=16))
            network.set_population(people.pack())
            network.label_mean[-3:] = 0.0
            save_reconstruction(folder / f"{name}.safetensors", network, {})
        encoder = encoder_for(tiny_generator, EncoderConfig(size=32, hidden=16, rank=4))
        save_encoder(folder / "encoder.safetensors", encoder, {"generator": sha256(folder / "generator-human.safetensors")})
        space = tiny_generator.style_space
        styles = tiny_generator.affine(tiny_generator.map(torch.randn(64, tiny_generator.config.z_dim)))
        predictor = AttributePredictor(AttributePredictorConfig(space.size, (16,)))
        predictor.set_populations(styles, people.pack())
        networks = {name: Manipulator(ManipulatorConfig.for_attribute(name, editable(space)[:2], space)) for name in ATTRIBUTES}
        for manipulator in networks.values():
            manipulator.set_populations(space.split(styles), people)
        rig = Rig(predictor, networks, space, sha256(folder / "generator-human.safetensors"))
        save_rig(folder / "manipulation.safetensors", rig, {})
    return folder
