"""Pictures are encoded as they are, and varied a little in training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from paceline.core.errors import DataError, SettingError
from paceline.data.base import Corpus, Examples, LazyImages
from paceline.tasks.base import Classification
from paceline.tasks.image import Image

_PIXELS = np.random.default_rng(0).integers(0, 256, (12, 3, 6, 8), dtype=np.uint8)


def _task(pixels=_PIXELS, **settings) -> tuple[Image, Examples]:
    train = Examples(inputs=pixels, targets=np.arange(len(pixels)) % 2)
    corpus = Corpus(name="x", kind="image", train=train, fingerprint="0", facts={})
    return Image.from_corpus(corpus, train, Classification([0, 1]), **settings), train


def _lazy() -> LazyImages:
    files = [Path(str(at)) for at in range(len(_PIXELS))]
    return LazyImages(files, lambda path: _PIXELS[int(path.name)], (3, 6, 8))


def _varied(task: Image) -> torch.Tensor:
    (image,) = task.augment((torch.from_numpy(_PIXELS),), torch.Generator().manual_seed(1))
    return image


def test_lazy_pictures_teach_what_loaded_ones_do_and_stay_lazy():
    task, train = _task(_lazy())
    assert task.to_json() == _task()[0].to_json()
    assert isinstance(task.encode(train).inputs[0], LazyImages)
    assert np.array_equal(task.features(train), _task()[0].features(_task()[1]))


def test_channels_are_measured_over_the_training_pixels():
    field = _task()[0].signature().inputs[0]
    assert field.mean == pytest.approx(_PIXELS.mean((0, 2, 3)))
    assert field.scale == pytest.approx(_PIXELS.std((0, 2, 3)))
    assert _task(np.zeros_like(_PIXELS))[0].scale == (1.0, 1.0, 1.0)


def test_only_pictures_in_colour_are_mirrored_unless_told_otherwise():
    assert _task()[0].flip
    assert not _task(_PIXELS[:, :1])[0].flip
    assert _task(_PIXELS[:, :1], flip=True)[0].flip


def test_a_mirrored_picture_is_itself_or_its_mirror_image():
    task, _ = _task(shift=0.0, turn=0.0, zoom=0.0)
    plain, mirrored = torch.from_numpy(_PIXELS).float(), torch.from_numpy(_PIXELS).float().flip(3)
    varied = _varied(task)
    same = (varied == plain).flatten(1).all(1)
    assert (same | (varied == mirrored).flatten(1).all(1)).all()
    assert 0 < same.sum() < len(varied)


def test_varied_pixels_stay_within_those_of_the_picture():
    varied = _varied(_task(shift=0.5, turn=180.0, zoom=0.5)[0])
    assert varied.min() >= -1e-3
    assert varied.max() <= 255.001


@pytest.mark.parametrize("name", ["shift", "turn", "zoom"])
def test_a_variation_out_of_range_is_refused(name):
    with pytest.raises(SettingError, match=f"image: {name} must lie between 0 and"):
        _task(**{name: -0.1})


@pytest.mark.parametrize("pixels", [_PIXELS[:, :1], _PIXELS[..., :5]])
def test_pictures_of_another_size_are_refused_with_both(pixels):
    with pytest.raises(DataError, match=r"images must be 3 × 6 × 8 .* as in training, these are"):
        _task()[0].encode(Examples(inputs=pixels, targets=None))
