"""The picture of a study: means, deviations, and what the paper says."""

import numpy as np

from keras_alexnet import AblateConfig, TrainConfig
from keras_alexnet.ablation import picture
from keras_alexnet.ablation.table import rows_of
from keras_alexnet.ablation.versions import versions_of
from support.pictures import texts_of


def _outcome(seed, error):
    return {
        **{"seed": seed, "learning_rate": 0.1, "epochs": 1, "at_chance": False, "seconds": 1.0},
        **{"top1": 1 - error / 100, "top1_10_views": 1 - (error - 1) / 100},
        **{"top5": 1.0, "top5_10_views": 1.0, "epochs_to_training_error": None},
    }


def test_points_are_where_the_table_says(drawn, tmp_path):
    train = TrainConfig(variant="cuda_convnet_11pct")
    versions = versions_of(AblateConfig(workdir="w", train=train, without=("lrn", "overlap")))
    outcomes = {
        "whole": [_outcome(0, 10), _outcome(1, 12)],
        "without lrn": [_outcome(0, 13), _outcome(1, 15)],
    }
    rows = rows_of(versions, outcomes)
    picture.draw(tmp_path / "a.png", rows, versions, outcomes, "cuda_convnet_11pct on shapes")
    errors, differences = drawn[0].axes
    names = ["whole", "without lrn", "one view in place of 10"]
    assert [label.get_text().replace("\n", " ") for label in errors.get_yticklabels()] == names
    means = [list(each.lines[0].get_xdata()) for each in errors.containers]
    np.testing.assert_allclose(means[0], [11, 14, 11])
    np.testing.assert_allclose(means[1], [10, 13])
    means = [list(each.lines[0].get_xdata()) for each in differences.containers]
    np.testing.assert_allclose(means[0], [3, 1])
    np.testing.assert_allclose(means[1], [3])
    [paper] = [line for line in differences.lines if line.get_label() == "the paper"]
    assert list(zip(*paper.get_data(), strict=True)) == [(1.4, 1), (2.0, 1), (1.5, 2)]
    assert {"one view", "10 views", "the paper"} <= set(texts_of(drawn[0]))
