import numpy as np
import pytest

from keras_alexnet.evaluation.metrics import Evaluation


@pytest.fixture
def evaluation():
    """Four images of three classes; right, right, second, last."""
    probabilities = np.float32([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.5, 0.4, 0.1], [0.6, 0.3, 0.1]])
    return Evaluation(np.log(probabilities), np.int32([0, 1, 1, 2]), views=1)


def test_figures_by_hand(evaluation):
    assert evaluation.loss == pytest.approx(-np.mean(np.log([0.7, 0.8, 0.4, 0.1])), rel=1e-6)
    assert (evaluation.top(1), evaluation.top(2), evaluation.top(3)) == (0.5, 0.75, 1.0)
    assert evaluation.figures()["top5"] == 1.0  # fewer classes than five


def test_confusion_has_true_classes_in_rows(evaluation):
    np.testing.assert_array_equal(evaluation.confusion(), [[1, 0, 0], [1, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(evaluation.per_class_accuracy(), [1.0, 0.5, 0.0])


def test_class_without_images_has_no_accuracy(evaluation):
    without = Evaluation(evaluation.log_probabilities[:2], evaluation.labels[:2], views=1)
    assert np.isnan(without.per_class_accuracy()[2])


def test_constant_outputs_score_nothing():
    evaluation = Evaluation(np.full((10, 10), -np.log(10.0)), np.arange(10), views=1)
    assert evaluation.top(1) == evaluation.top(5) == 0.0
