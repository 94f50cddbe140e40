import struct
from fractions import Fraction

import numpy as np
import pytest
from numbered import H264, numbered, write

from harlib.data.video.files import VideoError, decode, encode, fit_size, probe
from harlib.data.video.orientation import Orientation

pytestmark = pytest.mark.quick

RED, GREEN, BLUE, WHITE = (220, 20, 20), (20, 220, 20), (20, 20, 220), (230, 230, 230)


@pytest.fixture(scope="module")
def corners(tmp_path_factory):
    """An mp4 file, 32 x 64, of a red, a green, a blue and a white quarter."""
    picture = np.zeros((3, 32, 64, 3), np.uint8)
    picture[:, :16, :32], picture[:, :16, 32:] = RED, GREEN
    picture[:, 16:, :32], picture[:, 16:, 32:] = BLUE, WHITE
    encode(path := tmp_path_factory.mktemp("corners") / "a.mp4", picture, fps=25, crf=5)
    return path


def with_matrix(path, source, a, b, c, d):
    data = bytearray(source.read_bytes())
    place = data.find(b"tkhd") + 44  # the display matrix of the track header, 16.16 fixed point
    values = [round(65536 * value) for value in (a, b, 0, c, d, 0, 0, 0)]
    data[place : place + 36] = struct.pack(">9i", *values, 1 << 30)
    path.write_bytes(data)
    return path


def quarters(image):
    """The colours of the four quarters, left to right and top to bottom."""
    height, width = image.shape[:2]
    names = dict(zip((RED, GREEN, BLUE, WHITE), "RGBW", strict=True))
    places = [(y, x) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    seen = [image[place].astype(int) for place in places]
    return "".join(names[min(names, key=lambda c: np.abs(c - colour).sum())] for colour in seen)


@pytest.mark.parametrize(
    ("matrix", "seen", "rotation", "mirrored"),
    [
        ((1, 0, 0, 1), "RGBW", 0, False),
        ((0, 1, -1, 0), "BRWG", 270, False),
        ((-1, 0, 0, -1), "WBGR", 180, False),
        ((0, -1, 1, 0), "GWRB", 90, False),
        ((-1, 0, 0, 1), "GRWB", 0, True),
        ((1, 0, 0, -1), "BWRG", 180, True),
        ((0, 1, 1, 0), "RBGW", 270, True),
        ((0, -1, -1, 0), "WGBR", 90, True),
        ((2, 0, 0, 2), "RGBW", 0, False),
        ((0, 0, 0, 0), "RGBW", 0, False),
        ((1, 0, 0, 0), "RGBW", 0, False),
        ((0, 1, 0, 0), "RGBW", 0, False),
    ],
)
def test_pictures_come_upright_and_unmirrored(tmp_path, corners, matrix, seen, rotation, mirrored):
    path = with_matrix(tmp_path / "a.mp4", corners, *matrix)
    frames, info = decode(path), probe(path)
    assert quarters(frames[0]) == seen
    assert frames.shape[1:3] == ((64, 32) if rotation in (90, 270) else (32, 64))
    assert (info.height, info.width) == frames.shape[1:3]
    assert (info.rotation, info.mirrored) == (rotation, mirrored)
    assert decode(path, size=16).shape[1:3] == fit_size(*frames.shape[1:3], 16)


def test_a_camera_held_askew(tmp_path, corners):
    """30 degrees: the size stays, the corners become black, as by FFmpeg."""
    path = with_matrix(tmp_path / "a.mp4", corners, 0.866, 0.5, -0.5, 0.866)
    (first, *_), info = decode(path), probe(path)
    assert first.shape == (32, 64, 3) and info.rotation == 330
    assert first[0, 0].max() == first[-1, -1].max() == 0
    # clockwise: what was right of the centre, green above white, is below it now
    assert np.abs(first[24, 38].astype(int) - WHITE).max() < 30
    assert np.abs(first[22, 52].astype(int) - GREEN).max() < 30


def test_askew_turns_of_pixels_that_are_wider_than_high():
    image = np.zeros((40, 40, 3), np.uint8)
    image[18:22, 10:30] = 255  # a bar, shown 40 wide and 4 high
    turned = Orientation(askew=89.9).upright(image, pixel_aspect=2.0)
    rows, columns = np.nonzero(turned[..., 0] > 128)
    assert 36 <= np.ptp(rows) + 1 <= 40 and np.ptp(columns) + 1 <= 3


@pytest.mark.parametrize(
    ("pixel", "size", "result"),
    [
        ((64, 45), 128, (128, 228)),
        ((16, 15), 128, (128, 170)),
        ((8, 15), 128, (192, 128)),
        ((64, 45), None, (240, 300)),
        ((64, 45), (100, 50), (100, 50)),
    ],
)
def test_fit_size_of_pixels_that_are_not_square(pixel, size, result):
    found = fit_size(240, 300, size, pixel_aspect=Fraction(*pixel))
    assert found == result


@pytest.mark.parametrize(("name", "coded"), [("a.mp4", H264), ("a.mkv", H264), ("a.ts", H264)])
def test_the_aspect_is_kept_as_shown(tmp_path, name, coded):
    frames = numbered(3, height=80)
    for pixel, shape in (
        ((64, 45), (32, 92)),
        ((4, 3), (32, 86)),
        ((1, 2), (32, 32)),
        (None, (32, 64)),
    ):
        aspect = None if pixel is None else Fraction(*pixel)
        path = write(tmp_path / name, frames, *coded, aspect=aspect)
        assert probe(path).pixel_aspect == pytest.approx(float(aspect or 1), abs=0.01)
        assert decode(path).shape[1:3] == (80, 160)
        assert decode(path, size=(20, 30)).shape[1:3] == (20, 30)
        assert decode(path, size=32).shape[1:3] == shape


def test_pixels_of_a_picture_on_its_side(tmp_path):
    source = write(tmp_path / "a.mp4", numbered(3, height=80), *H264, aspect=Fraction(2, 1))
    path = with_matrix(tmp_path / "b.mp4", source, 0, 1, -1, 0)
    assert decode(path).shape[1:3] == (160, 80)
    assert decode(path, size=32).shape[1:3] == (128, 32)
    assert probe(path).pixel_aspect == 0.5


def test_an_absurd_shape_of_pixels_is_refused_where_it_matters(tmp_path):
    path = write(tmp_path / "a.mp4", numbered(3, height=80), *H264, aspect=Fraction(40, 1))
    assert decode(path).shape[1:3] == (80, 160)
    assert decode(path, size=(20, 30)).shape[1:3] == (20, 30)
    with pytest.raises(VideoError, match="absurd pixel shape 40:1, .* two numbers"):
        decode(path, size=32)
