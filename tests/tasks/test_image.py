"""Pictures are encoded as they are, and varied a little in training."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch

from paceline.core.errors import DataError, SettingError
from paceline.data.base import Corpus, Examples, LazyImages
from paceline.tasks.base import Classification, Judged
from paceline.tasks.base.pictures import data_uri
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


def _table(tmp_path, sizes=((6, 5),), modes=("RGB",)) -> Corpus:
    """Twelve pictures beside a table that names them."""
    pandas = pytest.importorskip("pandas")
    library = pytest.importorskip("PIL.Image")
    for at in range(12):
        pixels = np.full((*sizes[at % len(sizes)], 3), 200 * (at % 2), np.uint8)
        library.fromarray(pixels).convert(modes[at % len(modes)]).save(tmp_path / f"{at}.png")
    frame = pandas.DataFrame({"picture": [f"{at}.png" for at in range(12)], "who": "me"})
    train = Examples(inputs=frame, targets=np.array(["dark", "light"] * 6, dtype=object))
    facts = {"target": "label", "folder": str(tmp_path)}
    return Corpus(name="x", kind="table", train=train, fingerprint="0", facts=facts)


def test_a_table_that_names_pictures_is_claimed(tmp_path):
    claim = Image.claim(_table(tmp_path), {})
    assert claim.strength > 0.5
    assert "picture" in claim.reason
    assert claim.corpus.kind == "image"
    assert claim.corpus.train.inputs.shape == (12, 3, 6, 5)
    assert claim.corpus.notes == ("columns that are not used: who",)
    assert Image.claim(_table(tmp_path), {"image": "picture"}) is not None
    with pytest.raises(DataError, match="no column 'picure'"):
        Image.claim(_table(tmp_path), {"image": "picure"})


def test_grey_and_coloured_pictures_of_mixed_sizes_come_to_one_shape(tmp_path):
    claim = Image.claim(_table(tmp_path, sizes=((6, 5), (9, 5), (6, 8)), modes=("L", "RGB")), {})
    assert claim.corpus.train.inputs.shape == (12, 3, 6, 5)
    assert "3 sizes" in claim.corpus.notes[1]
    assert Image.claim(_table(tmp_path, modes=("L",)), {}).corpus.train.inputs.shape[1] == 1


def test_a_run_that_learnt_from_a_table_reads_another_table(tmp_path):
    table = _table(tmp_path)
    corpus = Image.claim(table, {}).corpus
    task = Image.from_corpus(corpus, corpus.train, Classification(["dark", "light"]))
    task = Image.from_json(task.to_json())
    read = task.encode(Examples(inputs=table.train.inputs.iloc[2:4], targets=None))
    assert np.array_equal(read.inputs[0].numpy(), corpus.train.inputs[2:4])
    assert task.features(table.train).shape == (12, 90)
    with pytest.raises(DataError, match="not on a table"):
        _task()[0].encode(table.train)


def test_a_picture_that_cannot_be_read_is_named(tmp_path):
    table = _table(tmp_path)
    (tmp_path / "3.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"3\.png.*take their rows out"):
        Image.claim(table, {})


def test_the_worst_mistakes_are_shown():
    image = pytest.importorskip("PIL.Image")
    task, train = _task()
    sure = torch.linspace(0.55, 0.99, 12)
    answer = torch.stack([sure, 1 - sure], 1)
    target = task.goal.encode(train.targets)
    judged = Judged(answer=answer, target=target, examples=train, train=train, ask=lambda _: answer)
    worst = task.findings(judged)[1][-1]
    assert worst.kind == "pictures"
    assert worst.rows[0][1] == "1, taken for 0, 99%"
    assert len(worst.rows) == 6
    shown = image.open(io.BytesIO(base64.b64decode(worst.rows[0][0].partition(",")[2])))
    assert np.array_equal(np.asarray(shown), _PIXELS[11].transpose(1, 2, 0))
    right = Judged(
        answer=torch.eye(2)[target],
        target=target,
        examples=train,
        train=train,
        ask=lambda _: answer,
    )
    assert [each.title for each in task.findings(right)[1]] == ["Each class", "Confusion"]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_in_a_line_of_text_is_that_picture(channels):
    image = pytest.importorskip("PIL.Image")
    pixels = _PIXELS[0, :channels]
    shown = image.open(io.BytesIO(base64.b64decode(data_uri(pixels).partition(",")[2])))
    found = np.asarray(shown)
    assert np.array_equal(found if channels == 3 else found[..., None], pixels.transpose(1, 2, 0))


def test_a_backbone_changes_the_default_model_and_must_be_of_timm(tmp_path):
    assert _task(backbone="timm:resnet18")[0].default_model == "timm"
    assert _task(backbone="timm:resnet18")[0].signature().backbone == "timm:resnet18"
    with pytest.raises(SettingError, match="timm:name"):
        _task(backbone="hf:vit")
    with pytest.raises(SettingError, match="no weights"):
        _task(backbone="timm:resnet18@gone.safetensors")
