from __future__ import annotations

from pathlib import Path

import pytest
import torch

from crossrig import checkpoint
from crossrig.data.portrait_set import PortraitSet
from crossrig.errors import UserError
from crossrig.face3d.params import PACKED_SIZE, FaceParams
from crossrig.gan.generator import Generator
from crossrig.inversion.encoder import EncoderConfig, encoder_for
from crossrig.inversion.optimise import invert
from crossrig.rig.reading import see
from crossrig.rig.reconstruction import Reconstruction, ReconstructionConfig
from crossrig.train import codes
from crossrig.train.codes import labelled_codes, load_codes, load_seen, sample_styles, sample_w_plus, search_offsets, seen_people


def test_unmixed_codes_are_those_of_z(tiny_generator: Generator) -> None:
    styles = sample_styles(tiny_generator, 5, torch.Generator().manual_seed(1), mixed=0.0)
    z = torch.randn(5, tiny_generator.config.z_dim, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(styles, tiny_generator.affine(tiny_generator.map(z)))


def test_mixed_codes_join_two_to_five_people_in_runs_of_layers(tiny_generator: Generator) -> None:
    count = 200
    styles = sample_styles(tiny_generator, count, torch.Generator().manual_seed(1), mixed=1.0)
    pure = sample_styles(tiny_generator, count, torch.Generator().manual_seed(1), mixed=0.0)
    space = tiny_generator.style_space
    mixed, people = space.split(styles), space.split(pure)
    convolutions = [layer.name for layer in space.layers if layer.kind == "conv"]
    owners = torch.stack(
        [(mixed[name][:, None] - people[name][None]).abs().amax(-1).argmin(1) for name in convolutions], dim=1
    )  # (N, layers)
    for name, owner in zip(convolutions, owners.unbind(1), strict=True):
        torch.testing.assert_close(mixed[name], people[name][owner])
    kinds = torch.tensor([len(set(row.tolist())) for row in owners])
    assert int(kinds.max()) <= 5
    assert float((kinds >= 2).float().mean()) > 0.7


def test_half_of_the_people_are_those_an_encoder_saw(tiny_generator: Generator) -> None:
    layers, width = tiny_generator.style_space.w_count, tiny_generator.config.w_dim
    seen = torch.randn(7, layers, width, generator=torch.Generator().manual_seed(3)) * 20
    styles = sample_styles(tiny_generator, 300, torch.Generator().manual_seed(1), mixed=0.0, seen=seen)
    apart = torch.cdist(styles, tiny_generator.affine(seen)).amin(1)  # 0 for one of the seven
    from_seen = apart < 1e-2 * float(styles.norm(dim=1).mean())
    assert 0.4 < float(from_seen.float().mean()) < 0.6


def test_seen_people_are_read_back_and_must_fit_the_generator(tmp_path: Path, tiny_generator: Generator) -> None:
    path = tmp_path / "seen.safetensors"
    w_plus = torch.randn(3, tiny_generator.style_space.w_count, tiny_generator.config.w_dim)
    checkpoint.save(path, {"w_plus": w_plus}, {"kind": "seen"})
    found = load_seen(path, tiny_generator)
    assert found is not None
    assert torch.equal(found, w_plus)
    assert load_seen(None, tiny_generator) is None
    for other in ({"w_plus": w_plus[:, :-1]}, {"w_plus": w_plus[..., :-1]}, {"w": w_plus[:, 0]}):
        checkpoint.save(path, other, {"kind": "seen"})
        with pytest.raises(UserError, match=r"holds no W\+"):
            load_seen(path, tiny_generator)


def test_what_the_encoder_sees_does_not_depend_on_the_batch(tiny_generator: Generator) -> None:
    torch.manual_seed(0)
    encoder = encoder_for(tiny_generator, EncoderConfig(size=32, hidden=16, rank=4), pretrained=False).eval().requires_grad_(False)
    pictures = torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8)
    portraits = PortraitSet(pictures, torch.zeros(5, PACKED_SIZE), torch.zeros(5, 4))
    torch.nn.init.normal_(encoder.offsets)
    whole, parts = seen_people(encoder, portraits), seen_people(encoder, portraits, batch=2)
    assert whole.shape == (5, tiny_generator.style_space.w_count, tiny_generator.config.w_dim)
    assert seen_people(encoder.common_w, portraits).shape == (5, tiny_generator.config.w_dim)
    torch.testing.assert_close(whole, parts, rtol=1e-4, atol=1e-5)


def test_a_search_adds_to_what_the_encoder_finds(tiny_generator: Generator, tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = encoder_for(tiny_generator, EncoderConfig(size=32, hidden=16, rank=4), pretrained=False).eval().requires_grad_(False)
    people = tiny_generator.synthesise(sample_styles(tiny_generator, 10, torch.Generator().manual_seed(5), mixed=0.0)).clamp(-1, 1)
    portraits = PortraitSet(((people + 1) * 127.5).round().byte(), torch.zeros(10, PACKED_SIZE), torch.zeros(10, 4))
    offsets = search_offsets(tiny_generator, encoder, portraits, 9, 3, shards=tmp_path / "searched")
    images = portraits.batch(torch.arange(9))[0]
    assert offsets.shape == (9, tiny_generator.style_space.w_count, tiny_generator.config.w_dim)
    for row in (0, 8):
        alone = invert(images[row : row + 1], tiny_generator, encoder, steps=3).w_plus[0] - encoder(images)[row]
        assert float((offsets[row] - alone).norm() / alone.norm()) < 0.02  # Adam's first steps make rounding larger
    assert float(offsets.flatten(1).norm(dim=1).min()) > 0.1
    assert not (tmp_path / "searched").exists()


def test_the_seed_decides(tiny_generator: Generator) -> None:
    first = sample_styles(tiny_generator, 4, torch.Generator().manual_seed(1))
    assert torch.equal(first, sample_styles(tiny_generator, 4, torch.Generator().manual_seed(1)))
    assert not torch.equal(first, sample_styles(tiny_generator, 4, torch.Generator().manual_seed(2)))


@pytest.fixture
def network(people: FaceParams) -> Reconstruction:
    torch.manual_seed(0)
    network = Reconstruction(ReconstructionConfig(network="resnet", size=32, width=8, mixed=8, hidden=16)).eval().requires_grad_(False)
    network.set_population(people.pack())
    return network


def test_labels_are_what_the_network_sees_and_the_end_is_unmixed(
    tiny_generator: Generator, network: Reconstruction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codes, "_SHARD", 64)
    steps: list[tuple[int, int]] = []
    styles, labels = labelled_codes(tiny_generator, network, 70, 5, 1.0, 4, lambda step, total: steps.append((step, total)))
    assert styles.shape == (75, tiny_generator.style_space.size)
    assert steps == [(1, 2), (2, 2)]
    seen = network.predict(tiny_generator.synthesise(styles[-5:]).clamp(-1, 1)).pack()
    torch.testing.assert_close(labels[-5:], seen, rtol=1e-4, atol=1e-5)
    random = torch.Generator().manual_seed(4)
    assert torch.equal(styles[:70], sample_styles(tiny_generator, 70, random, 1.0))
    assert torch.equal(styles[70:], sample_styles(tiny_generator, 5, random, 0.0))


def test_an_interrupted_labelling_goes_on_where_it_was(
    tiny_generator: Generator, network: Reconstruction, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codes, "_SHARD", 8)
    shards = tmp_path / "labels"
    whole = labelled_codes(tiny_generator, network, 20, 4, 0.5, 4)

    def stop(step: int, total: int) -> None:
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        labelled_codes(tiny_generator, network, 20, 4, 0.5, 4, stop, shards=shards)
    assert len(list(shards.iterdir())) == 2
    painted: list[int] = []
    monkeypatch.setattr(codes, "see", lambda n, g, part, dtype: (painted.append(len(part)), see(n, g, part, dtype))[1])
    styles, labels = labelled_codes(tiny_generator, network, 20, 4, 0.5, 4, shards=shards)
    assert painted == [8]
    assert torch.equal(styles, whole[0])
    assert torch.equal(labels, whole[1])
    assert not shards.exists()


def test_codes_of_a_run_are_read_without_the_held_out(tmp_path: Path) -> None:
    path = tmp_path / "codes.safetensors"
    styles, labels = torch.randn(10, 4), torch.randn(10, PACKED_SIZE)
    checkpoint.save(path, {"styles": styles, "labels": labels}, {"kind": "codes", "generator": "abc", "held_out": 3})
    read, truth = load_codes(path, "abc")
    assert torch.equal(read, styles[:7])
    assert torch.equal(truth, labels[:7])
    with pytest.raises(UserError, match="of the generator abc"):
        load_codes(path, "def")
    checkpoint.save(path, {"styles": styles}, {"kind": "judge"})
    with pytest.raises(UserError, match="not labelled codes"):
        load_codes(path, "abc")


def test_style_codes_are_those_of_the_codes_in_w_plus(tiny_generator: Generator) -> None:
    w_plus = sample_w_plus(tiny_generator, 20, torch.Generator().manual_seed(1))
    assert w_plus.shape == (20, tiny_generator.style_space.w_count, tiny_generator.config.w_dim)
    assert torch.equal(tiny_generator.affine(w_plus), sample_styles(tiny_generator, 20, torch.Generator().manual_seed(1)))
