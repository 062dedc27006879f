"""Pictures on disk: chosen without being read, and the same in every respect as pictures in memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from manylabel.data.rows import Images, MappedImages, images
from manylabel.models.inputs.registry import fit_preprocessor


def pictures(n: int, side: int = 5) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(n).integers(0, 255, (n, 3, side, side), dtype=np.uint8))


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> tuple[MappedImages, Images]:
    """The same 17 pictures in two parts and in one tensor, walked through three at a time."""
    monkeypatch.setattr(images, "_AT_ONCE", 3 * 75)
    first, second = pictures(10), pictures(7)
    return MappedImages((first, second)), Images(torch.cat([first, second]))


def same(mapped: MappedImages, whole: Images) -> None:
    assert torch.equal(mapped.values, whole.values)
    assert (len(mapped), mapped.shape, mapped.form, mapped.dtype) == (
        len(whole),
        whole.shape,
        whole.form,
        whole.dtype,
    )
    assert mapped.describe() == whole.describe()
    assert [bytes(piece) for piece in mapped.content()] == [bytes(piece) for piece in whole.content()]
    assert list(mapped.row_keys()) == list(whole.row_keys())
    assert np.array_equal(np.asarray(mapped), np.asarray(whole))


def test_all_that_is_asked_of_pictures_is_the_same(pair):
    mapped, whole = pair
    same(mapped, whole)
    for rows in (slice(3, 14, 2), np.array([16, 0, 9, 10, 10]), np.arange(17) % 3 == 0):
        assert torch.equal(mapped.batch(rows), whole.batch(rows))
        same(mapped.take(rows), whole.take(rows))
    taken = np.array([12, 3])
    same(mapped.take(slice(2, None)).take(taken), whole.take(slice(2, None)).take(taken))


def test_parts_are_joined_without_being_read(pair):
    mapped, whole = pair
    joined = mapped.take(slice(5)).concat(mapped.take(np.array([11, 2])))
    assert isinstance(joined, MappedImages)
    same(joined, whole.take(np.array([0, 1, 2, 3, 4, 11, 2])))
    both = mapped.concat(Images(pictures(2)))
    assert torch.equal(both.values, torch.cat([whole.values, pictures(2)]))
    again = whole.concat(mapped)
    assert torch.equal(again.values, torch.cat([whole.values, whole.values]))


def test_large_pictures_are_digested_one_by_one_wherever_they_are(pair, monkeypatch):
    mapped, whole = pair
    assert len(list(whole.content())) == 2
    monkeypatch.setattr(images, "_LARGE", 75)
    assert len(list(whole.content())) == 1 + 17
    same(mapped, whole)
    same(mapped.take(np.array([3, 12, 4])), whole.take(np.array([3, 12, 4])))


def test_pictures_that_follow_each_other_are_a_view_of_their_file(pair):
    mapped, _ = pair
    view = mapped.take(slice(2, 8)).values
    assert view.data_ptr() == mapped.parts[0][2].data_ptr()
    assert mapped.take(np.array([2, 4])).values.data_ptr() != mapped.parts[0][2].data_ptr()
    assert mapped.take(slice(0, 0)).values.shape == (0, 3, 5, 5)


def test_a_batch_can_be_written_to(pair):
    mapped, whole = pair
    for rows in (slice(2, 5), np.array([2, 3, 4])):
        mapped.batch(rows).zero_()
    same(mapped, whole)


@pytest.mark.parametrize("side", [5, 150])
def test_equal_pictures_have_equal_keys_in_every_type(side):
    bytes_ = pictures(3, side)
    keys = list(Images(bytes_).row_keys())
    assert len(set(keys)) == 3
    assert list(Images(bytes_.float()).row_keys()) == keys
    assert list(Images(bytes_.long()).row_keys()) == keys
    assert not set(Images(bytes_ + 0.5).row_keys()) & set(keys)


def test_a_preprocessor_takes_them(pair):
    mapped, whole = pair
    assert torch.equal(fit_preprocessor(mapped).dense(mapped), fit_preprocessor(whole).dense(whole))
