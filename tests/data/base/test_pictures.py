import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image, ImageOps

from paceline.core.errors import DataError
from paceline.data.base.pictures import fit_image, read_header, read_image

RANDOM = np.random.default_rng(0)
COLOUR = RANDOM.integers(0, 256, (3, 6, 5), dtype=np.uint8)


def pillow(pixels):
    return Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))


@given(
    some.sampled_from([1, 2, 3, 4]),
    some.integers(1, 40),
    some.integers(1, 40),
    some.sampled_from([1, 3]),
    some.integers(1, 30),
    some.integers(1, 30),
)
def test_every_image_gets_the_shape_that_is_wanted(has, height, width, channels, tall, wide):
    image = np.full((has, height, width), 200, np.uint8)
    if has in (2, 4):
        image[-1] = 255
    fitted = fit_image(image, (channels, tall, wide))
    assert fitted.shape == (channels, tall, wide) and fitted.dtype == np.uint8
    assert (fitted == 200).all()


def test_an_image_of_the_right_shape_is_not_changed():
    assert np.array_equal(fit_image(COLOUR, (3, 6, 5)), COLOUR)
    assert np.array_equal(fit_image(np.stack([COLOUR] * 2), (3, 6, 5))[1], COLOUR)


def test_colour_becomes_the_luminance_that_pillow_gives():
    expected = np.asarray(pillow(COLOUR).convert("L"))
    assert np.array_equal(fit_image(COLOUR, (1, 6, 5))[0], expected)


def test_proportions_are_kept_and_the_edge_is_repeated():
    image = np.array([[[0, 255]]], np.uint8).repeat(4, 1).repeat(4, 2)
    fitted = fit_image(image, (1, 8, 8))
    assert np.array_equal(fitted[0, :2], fitted[0, 2:4])
    assert fitted[0, 4, 0] == 0 and fitted[0, 4, -1] == 255


def test_what_is_transparent_becomes_white():
    image = np.concatenate([COLOUR, np.zeros((1, 6, 5), np.uint8)])
    assert (fit_image(image, (3, 6, 5)) == 255).all()


def test_channels_that_do_not_fit_are_refused():
    with pytest.raises(DataError, match="5 channels where 3 are needed"):
        fit_image(np.zeros((5, 2, 2), np.uint8), (3, 2, 2))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_stand_as_the_camera_was_held(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in ("a.tiff", "a.png"):
        path = tmp_path / name
        pillow(COLOUR).save(path, exif=exif)
        with Image.open(path) as image:
            expected = np.asarray(ImageOps.exif_transpose(image)).transpose(2, 0, 1)
        assert np.array_equal(read_image(path), expected)
    header = read_header(tmp_path / "a.tiff")
    assert (header.height, header.width) == expected.shape[1:]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_mode_is_read_as_bytes(tmp_path, mode):
    grey = np.array([[0, 255], [255, 0]], np.uint8)
    image = Image.fromarray(grey)
    if mode in ("I;16", "I"):
        image = Image.fromarray(grey.astype(np.uint16 if mode == "I;16" else np.int32) * 257)
    elif mode == "F":
        image = Image.fromarray((grey / 255).astype(np.float32))
    elif mode == "CMYK":
        image = image.convert("RGB").convert("CMYK")
    else:
        image = image.convert(mode)
    path = tmp_path / "a.tiff"
    image.save(path)
    assert np.array_equal(read_image(path, (1, 2, 2))[0], grey)
    assert read_header(path).grey == (mode not in ("P", "RGB", "RGBA", "CMYK"))


def test_a_palette_with_a_transparent_colour_is_white_there(tmp_path):
    image = Image.new("P", (2, 2), 0)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.save(tmp_path / "a.png", transparency=0)
    assert (read_image(tmp_path / "a.png") == 255).all()


def test_a_large_jpeg_is_scaled_while_decoding(tmp_path):
    Image.new("RGB", (640, 320), (200, 100, 50)).save(tmp_path / "a.jpg", quality=95)
    small = read_image(tmp_path / "a.jpg", (3, 16, 32))
    assert np.abs(small.astype(int) - np.array([200, 100, 50])[:, None, None]).max() <= 2


def test_a_damaged_note_about_the_camera_does_not_matter(tmp_path):
    pillow(COLOUR).save(tmp_path / "a.png", exif=b"Exif\0\0nonsense")
    assert np.array_equal(read_image(tmp_path / "a.png"), COLOUR)


def test_what_is_no_image_is_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no image")
    for read in (read_image, read_header):
        with pytest.raises(DataError, match=r"a\.png cannot be read as an image: no image"):
            read(tmp_path / "a.png")
