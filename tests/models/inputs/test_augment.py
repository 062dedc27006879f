"""Views of a batch."""

import math

import pytest
import torch

from manylabel.errors import ManyLabelError
from manylabel.models.inputs.augment import ImageViews, keep_mask, mask
from manylabel.models.inputs.policies import Cutout, RandAugment


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 0.9])
def test_keep_mask_keeps_the_right_share_in_each_of_the_four_lanes(p):
    kept = keep_mask((500, 800), p)
    assert kept.dtype == torch.float32
    assert set(kept.unique().tolist()) <= {0.0, 1.0}
    lanes = kept.view(-1, 4).mean(0)
    torch.testing.assert_close(lanes, torch.full((4,), 1 - p), rtol=0, atol=5 * math.sqrt(p * (1 - p) / 1e5))


def test_lanes_and_neighbours_are_independent():
    kept = keep_mask((200_000, 4), 0.5)
    correlation = torch.corrcoef(torch.cat([kept[1:], kept[:-1]], 1).T) - torch.eye(8)
    assert correlation.abs().max() < 5 / math.sqrt(200_000)


@pytest.mark.parametrize("shape", [(0,), (1,), (3,), (5, 7), (2, 3, 4)])
def test_keep_mask_takes_any_shape(shape):
    assert keep_mask(shape, 0.5).shape == shape
    assert bool((keep_mask(shape, 0.0) == 1).all())


@pytest.mark.parametrize(
    "draw", [lambda: keep_mask((9, 9), 0.3), lambda: ImageViews(flip=True)(torch.ones(4, 3, 8, 8))]
)
def test_views_replay_from_the_random_state(draw):
    torch.manual_seed(5)
    draw()
    state = torch.random.get_rng_state()
    first = draw()
    torch.random.set_rng_state(state)
    assert torch.equal(first, draw())


def test_mask_zeroes_or_keeps():
    x = torch.randn(50, 103) + 10
    masked = mask(x, 0.5)
    assert bool(((masked == x) | (masked == 0)).all())
    assert 0.45 < (masked == 0).float().mean() < 0.55
    assert mask(x.double(), 0.5).dtype == torch.float64


@pytest.mark.parametrize("channels", [1, 3])
def test_image_views_stay_pictures_and_differ(channels):
    x = torch.rand(16, channels, 32, 32)
    y = ImageViews(flip=True)(x)
    assert y.shape == x.shape
    assert y.dtype == x.dtype
    assert y.min() >= 0
    assert y.max() <= 1
    assert not torch.allclose(y, ImageViews(flip=True)(x))


def test_no_setting_changes_nothing():
    x = torch.rand(4, 3, 16, 16)
    assert torch.equal(ImageViews(crop=1, jitter=0, greyscale=0)(x), x)


def test_crop_keeps_at_least_its_share_of_the_picture():
    """On a picture of its own coordinates, the range seen is the size of the crop."""
    ramp = (torch.arange(64) + 0.5) / 64
    x = torch.stack([ramp.expand(64, 64), ramp[:, None].expand(64, 64)]).expand(200, 2, 64, 64)
    seen = ImageViews(crop=0.5, jitter=0, greyscale=0)(x)
    width, height = (seen[:, i].amax((1, 2)) - seen[:, i].amin((1, 2)) for i in (0, 1))
    area = width * height
    assert 0.45 < area.min() < 0.55
    assert 0.9 < area.max() <= 1
    assert seen.min() >= 0
    assert (width / height).max() < 1.4


def test_flip_mirrors_half_of_the_pictures():
    x = torch.rand(400, 1, 8, 8)
    y = ImageViews(crop=1, flip=True, jitter=0, greyscale=0)(x)
    mirrored = torch.isclose(y, x.flip(3), atol=1e-5).flatten(1).all(1)
    same = torch.isclose(y, x, atol=1e-5).flatten(1).all(1)
    assert bool((mirrored ^ same).all())
    assert 0.4 < mirrored.float().mean() < 0.6


def test_grey_pictures_have_equal_channels():
    x = torch.rand(300, 3, 8, 8)
    y = ImageViews(crop=1, jitter=0, greyscale=0.3)(x)
    grey = (y[:, 0] == y[:, 1]).flatten(1).all(1)
    assert 0.2 < grey.float().mean() < 0.4
    assert torch.equal(y[~grey], x[~grey])


def test_jitter_of_grey_pictures_is_brightness_and_contrast():
    x = torch.rand(200, 1, 8, 8) * 0.2 + 0.4  # far from 0 and 1, so that nothing is cut
    y = ImageViews(crop=1, jitter=0.3)(x)
    slope = y.flatten(1).std(1) / x.flatten(1).std(1)
    assert bool(((slope > 0.7**2 - 1e-3) & (slope < 1.3**2 + 1e-3)).all())
    unchanged = (y == x).flatten(1).all(1).float().mean()
    assert 0.1 < unchanged < 0.3
    centred = [z.flatten(1) - z.flatten(1).mean(1, keepdim=True) for z in (x, y)]
    torch.testing.assert_close(centred[1], centred[0] * slope[:, None], rtol=1e-3, atol=1e-5)


def test_blur_takes_out_detail_and_keeps_the_mean():
    x = torch.rand(200, 3, 40, 40)
    y = ImageViews(crop=1, jitter=0, greyscale=0, blur=0.5)(x)
    blurred = (y != x).flatten(1).any(1)
    assert 0.35 < blurred.float().mean() < 0.65
    assert torch.equal(y[~blurred], x[~blurred])
    assert bool((y[blurred].flatten(1).std(1) < x[blurred].flatten(1).std(1)).all())
    torch.testing.assert_close(y.mean((1, 2, 3)), x.mean((1, 2, 3)), atol=0.02, rtol=0)


def test_views_may_have_another_size():
    assert ImageViews(size=(24, 20))(torch.rand(5, 3, 40, 40)).shape == (5, 3, 24, 20)


@pytest.mark.parametrize("channels", [1, 3])
def test_randaugment_changes_pictures_by_groups_and_stays_in_range(channels):
    torch.manual_seed(0)
    x = torch.rand(40, channels, 32, 32)
    y = RandAugment(2, 9)(x)
    assert y.shape == x.shape
    assert (y.min() >= 0, y.max() <= 1) == (True, True)
    assert (y != x).flatten(1).any(1).float().mean() > 0.7
    torch.manual_seed(0)
    assert torch.equal(RandAugment(2, 9)(torch.rand(40, channels, 32, 32)), y)


def test_cutout_hides_a_square_of_one_colour():
    x = torch.full((400, 3, 20, 20), 2.0)
    y = Cutout(0.5)(x)
    hidden = y != x
    assert bool((hidden.any(1) == hidden.all(1)).all())  # in all channels
    area = hidden[:, 0].flatten(1).sum(1)
    assert int(area.max()) == 100
    assert 25 <= int(area.min()) < 50  # a corner of the square
    colours = torch.where(hidden, y, torch.nan).flatten(2)
    assert float((colours.nan_to_num(-1).amax(2) - colours.nan_to_num(9).amin(2)).abs().max()) < 1e-6
    assert float(colours.nan_to_num(-1).amax(2).std()) > 0.2


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: RandAugment(0), "at least 1 operation"),
        (lambda: RandAugment(2, 30), "magnitude from 1 to 29"),
        (lambda: Cutout(0), "a side above 0"),
        (lambda: Cutout(1.5), "a side above 0"),
    ],
)
def test_policies_out_of_range_are_refused(build, text):
    with pytest.raises(ManyLabelError, match=text):
        build()


@pytest.mark.parametrize("bad", [{"crop": 0}, {"crop": 1.1}, {"jitter": -1}, {"greyscale": 2}, {"blur": -1}])
def test_settings_out_of_range_are_refused(bad):
    with pytest.raises(ManyLabelError, match="ImageViews: expected"):
        ImageViews(**bad)
