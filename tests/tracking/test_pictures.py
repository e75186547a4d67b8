"""Arrays become pictures that show what is in them."""

import numpy as np

from hw5hpc.tracking.pictures import pictures, tile


def test_tile_keeps_the_order() -> None:
    stack = np.arange(3, dtype=np.uint8).reshape(3, 1, 1)
    assert tile(stack).tolist() == [[0, 1], [2, 0]]


def test_points_lie_where_they_are() -> None:
    """Right is right and up is up."""
    picture = pictures({"samples": np.array([[1.5, 1.5]] * 9, np.float32)})["samples"]
    rows, columns = np.nonzero(picture)
    assert picture.max() == 255
    assert rows.max() < picture.shape[0] / 2 < columns.min()


def test_points_that_are_not_numbers_are_left_out() -> None:
    broken = np.array([[np.nan, 0], [np.inf, 1], [0, 0]])
    assert pictures({"samples": broken})["samples"].max() == 255


def test_a_confusion_matrix_is_shares_of_each_row() -> None:
    picture = pictures({"confusion": np.array([[8, 0], [30, 10]])})["confusion"]
    half = picture.shape[0] // 2
    quarters = [picture[y, x] for y in (0, half) for x in (0, half)]
    assert quarters == [255, 0, 191, 64]


def test_filters_share_one_scale() -> None:
    weights = np.zeros((2, 3, 5, 5), np.float32)
    weights[0], weights[1] = -1, 1
    picture = pictures({"filters": weights})["filters"]
    assert picture.ndim == 3
    assert (picture[0, 0, 0], picture[0, 44, 0]) == (0, 255)


def test_examples_by_class_and_histograms_are_pictures_too() -> None:
    found = pictures(
        {
            "examples": np.zeros((10, 4, 3, 32, 32), np.uint8),
            "samples": np.zeros((9, 28, 28), np.uint8),
            "label_histogram": np.array([0, 4, 8]),
        }
    )
    assert found["examples"].shape == (6 * 32, 7 * 32, 3)
    assert found["samples"].shape == (84, 84)
    # The highest bar reaches the top, half of it half.
    heights = (found["label_histogram"] > 0).sum(axis=0).max(initial=0)
    assert heights == found["label_histogram"].shape[0]


def test_what_is_no_picture_is_left_out() -> None:
    assert pictures({"weights": np.zeros(3, np.float32), "none": np.zeros((0, 2))}) == {}
