from __future__ import annotations

from dataclasses import replace

import torch

from crossrig.evaluate import unseen_styles
from crossrig.evaluation import instruments
from crossrig.evaluation.instruments import Instruments, Subjects, look
from crossrig.metrics.frechet import pooled_features


class Names:
    """A descriptor that remembers how many pictures it saw."""

    def __init__(self) -> None:
        self.seen = 0

    def describe(self, images: torch.Tensor) -> torch.Tensor:
        self.seen += len(images)
        return images.flatten(1)[:, :5]


def test_what_is_seen_is_what_each_instrument_says(tools: Instruments, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(instruments, "together", lambda resolution: 4)
    names = Names()
    equipped = replace(tools, descriptor=names)
    styles = unseen_styles(tools.generator, 10)
    seen = look(equipped, styles)
    images = tools.generator.synthesise(styles).clamp(-1, 1)
    torch.testing.assert_close(seen.pictures, images, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(seen.params.pack(), tools.judge.predict(images).pack(), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(seen.features, pooled_features(tools.features, images), rtol=1e-3, atol=1e-3)
    assert seen.descriptors is not None
    assert seen.descriptors.shape == (10, 5)
    assert look(equipped, styles, identity=False).descriptors is None
    assert names.seen == 10
    assert look(tools, styles).descriptors is None


def test_only_the_first_faces_are_described(tools: Instruments, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(instruments, "together", lambda resolution: 4)
    monkeypatch.setattr(instruments, "DESCRIBED", 6)
    names = Names()
    equipped, styles = replace(tools, descriptor=names), unseen_styles(tools.generator, 10)
    seen = look(equipped, styles)
    assert names.seen == 6
    assert seen.descriptors is not None
    torch.testing.assert_close(seen.descriptors, names.describe(seen.pictures[:6]), rtol=1e-3, atol=1e-3)
    assert len(seen.features) == 10


def test_large_pictures_are_kept_small(tools: Instruments, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(instruments, "SHOWN", 16)
    assert look(tools, unseen_styles(tools.generator, 3)).pictures.shape == (3, 3, 16, 16)


def test_commands_are_in_the_readers_terms_and_spreads_in_the_judges(tools: Instruments) -> None:
    styles = unseen_styles(tools.generator, 9)
    subjects = Subjects.of(tools, styles)
    images = tools.generator.synthesise(styles).clamp(-1, 1)
    torch.testing.assert_close(subjects.own.pack(), tools.reader.predict(images).pack(), rtol=1e-3, atol=1e-3)
    assert subjects.spread == tools.units.spread(subjects.before.params)
    assert len(subjects) == 9


def test_codes_are_painted_in_the_number_format_that_is_asked_for(tools: Instruments, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    formats: list[torch.dtype | None] = []

    def synthesise(styles: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
        formats.append(dtype)
        return torch.zeros(len(styles), 3, 32, 32)

    monkeypatch.setattr(tools.generator, "synthesise", synthesise)
    styles = unseen_styles(tools.generator, 9)
    Subjects.of(replace(tools, dtype=torch.bfloat16), styles)
    replace(tools, dtype=torch.bfloat16).judged(styles)
    assert len(formats) == 3
    assert set(formats) == {torch.bfloat16}
