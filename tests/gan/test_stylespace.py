from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from crossrig.gan.stylespace import StyleSpace

CONFIG_F = {4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128, 512: 64, 1024: 32}


def test_the_published_table_at_1024() -> None:
    """Wu et al. 2021, Section 3 and Table 1: 26 layers, 9088 channels, 6048 of them not toRGB; W+ has 18 vectors."""
    space = StyleSpace(1024, CONFIG_F)
    assert len(space.layers) == 26
    assert space.size == 9088
    assert sum(layer.size for layer in space.layers if layer.kind == "conv") == 6048
    assert sum(layer.size for layer in space.layers if layer.kind == "torgb") == 3040
    assert space.w_count == 18
    assert space.names[:5] == ("b4.conv1", "b4.torgb", "b8.conv0", "b8.conv1", "b8.torgb")
    # layers 0 2 3 5 of the original CDDFM3D repository (shape, pose): 2048 entries
    assert sum(space.layers[index].size for index in (0, 2, 3, 5)) == 2048
    # albedo there
    assert sum(space.layers[i].size for i in (8, 9, 11, 12, 14, 15, 17, 18, 20, 21, 23, 24)) == 3488


def test_style_sizes_are_input_channels() -> None:
    space = StyleSpace(8, {4: 3, 8: 5})
    assert [(layer.name, layer.size, layer.w_index) for layer in space.layers] == [
        ("b4.conv1", 3, 0),
        ("b4.torgb", 3, 1),
        ("b8.conv0", 3, 1),
        ("b8.conv1", 5, 2),
        ("b8.torgb", 5, 3),
    ]


@settings(max_examples=30, deadline=None)
@given(widths=st.lists(st.integers(1, 9), min_size=1, max_size=5), batch=st.integers(0, 3), data=st.data())
def test_split_and_join_are_inverse(widths: list[int], batch: int, data: st.DataObject) -> None:
    space = StyleSpace(4 << (len(widths) - 1), {4 << level: width for level, width in enumerate(widths)})
    s = torch.arange(batch * space.size, dtype=torch.float32).reshape(batch, space.size)
    parts = space.split(s)
    assert list(parts) == list(space.names)
    shuffled = {name: parts[name] for name in data.draw(st.permutations(space.names))}
    assert torch.equal(space.join(shuffled), s)
    for name in space.names:
        assert torch.equal(s[:, space.mask([name])], parts[name])
    chosen = data.draw(st.sets(st.sampled_from(space.names)))
    assert int(space.mask(chosen).sum()) == sum(space.layer(name).size for name in chosen)


def test_errors() -> None:
    space = StyleSpace(8, {4: 3, 8: 5})
    with pytest.raises(ValueError, match="19 entries"):
        space.split(torch.zeros(2, 18))
    parts = space.split(torch.zeros(2, 19))
    with pytest.raises(ValueError, match=r"missing \['b4.conv1'\]"):
        space.join({name: part for name, part in parts.items() if name != "b4.conv1"})
    with pytest.raises(ValueError, match=r"unknown \['b16.conv0'\]"):
        space.join({**parts, "b16.conv0": torch.zeros(2, 5)})
    with pytest.raises(ValueError, match=r"b4.torgb has 3"):
        space.join({**parts, "b4.torgb": torch.zeros(2, 5)})
    with pytest.raises(KeyError, match=r"no style layer 'b32.conv1'"):
        space.mask(["b32.conv1"])
    with pytest.raises(ValueError, match="power of two"):
        StyleSpace(12, {4: 3, 8: 5})
    with pytest.raises(ValueError, match="16 px block"):
        StyleSpace(16, {4: 3, 8: 5})
