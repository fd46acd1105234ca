"""PerceptualLoss and PerceptualMetric in compiled models: training, precision, saving."""

import keras
import numpy as np
import pytest

import keras_alexnet as ka
from keras_alexnet.errors import UserError
from support import lpips_reference as reference


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "features.keras"
    reference.model().save(path)
    return path


def _compiled(weights):
    network = keras.Sequential([keras.Input([31, 31, 3]), keras.layers.Conv2D(3, 1)])
    network.layers[0].set_weights([np.eye(3)[None, None] * 0.9, np.zeros(3)])
    network.compile(
        keras.optimizers.SGD(0.1),
        loss=ka.PerceptualLoss(weights),
        metrics=[ka.PerceptualMetric(weights)],
    )
    return network


@pytest.mark.processes
def test_training_in_mixed_precision(file, tmp_path):
    first, second = reference.images(31, 31)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        network = _compiled(file)
        history = network.fit(second, first, epochs=2, verbose=0).history
    finally:
        keras.config.set_dtype_policy(before)
    assert history["loss"][1] < history["loss"][0]
    assert history["perceptual_distance"] == pytest.approx(history["loss"], rel=1e-5)
    assert len(network.trainable_variables) == 2
    network.save(tmp_path / "model.keras")
    assert (tmp_path / "model.keras").stat().st_size < 1e5, "without the weights of the metric"
    loaded = keras.models.load_model(tmp_path / "model.keras")
    loss, metric = loaded.evaluate(second, first, verbose=0)
    assert loss == pytest.approx(metric) and loss < history["loss"][1]


def test_loss_and_metric_are_the_means_of_the_layer(file):
    images = reference.images(31, 31)
    distances = ka.PerceptualDistance(file)(*images).numpy()
    weighted = (distances * [1, 3]).sum()
    loss = ka.PerceptualLoss(file, reduction="sum")
    assert float(loss(*images, sample_weight=[1, 3])) == pytest.approx(weighted, rel=1e-5)
    metric = ka.PerceptualMetric(file)
    metric.update_state(*images, sample_weight=[1, 3])
    assert float(metric.result()) == pytest.approx(weighted / 4, rel=1e-5)
    metric.reset_state()
    metric.update_state(*images)
    assert float(metric.result()) == pytest.approx(distances.mean(), rel=1e-5)


def test_a_model_whose_losses_weights_are_gone_still_loads(tmp_path, caplog):
    network = _compiled(reference.model())  # a model in memory
    network.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    images = reference.images(31, 31)
    np.testing.assert_array_equal(loaded(images[0]), network(images[0]))
    with pytest.raises(UserError, match="weights of perceptual_loss could not be read.*in memory"):
        loaded.evaluate(*images, verbose=0)
    assert "weights of perceptual_loss could not be read when its model was loaded" in caplog.text
    loaded.save(tmp_path / "again.keras")
    config = keras.models.load_model(tmp_path / "again.keras").loss.get_config()
    assert config["weights"] == network.loss.get_config()["weights"]
