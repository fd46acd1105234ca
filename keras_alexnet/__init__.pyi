# The public names, sorted by module; __init__.py reads them from here.

from keras_alexnet import figures as figures
from keras_alexnet import networks as networks
from keras_alexnet import weights as weights
from keras_alexnet.ablation.ablate import ablate as ablate
from keras_alexnet.ablation.config import AblateConfig as AblateConfig
from keras_alexnet.data.config import DataSpec as DataSpec
from keras_alexnet.data.config import PrepareConfig as PrepareConfig
from keras_alexnet.data.load import load_dataset as load_dataset
from keras_alexnet.data.manifest import verify_prepared as verify_prepared
from keras_alexnet.data.pipeline import eval_batches as eval_batches
from keras_alexnet.data.pipeline import pixel_statistics as pixel_statistics
from keras_alexnet.data.pipeline import steps_per_epoch as steps_per_epoch
from keras_alexnet.data.pipeline import train_batches as train_batches
from keras_alexnet.data.prepare import prepare as prepare
from keras_alexnet.data.readers import list_datasets as list_datasets
from keras_alexnet.data.splits import split_validation as split_validation
from keras_alexnet.errors import Interrupted as Interrupted
from keras_alexnet.errors import UsageError as UsageError
from keras_alexnet.errors import UserError as UserError
from keras_alexnet.evaluation.config import EvaluateConfig as EvaluateConfig
from keras_alexnet.evaluation.evaluate import evaluate as evaluate
from keras_alexnet.exporting.config import ExportConfig as ExportConfig
from keras_alexnet.exporting.export import export as export
from keras_alexnet.exporting.save import save as save
from keras_alexnet.models.alexnet import AlexNet as AlexNet
from keras_alexnet.models.images_and_scores import decode_predictions as decode_predictions
from keras_alexnet.models.images_and_scores import preprocess_input as preprocess_input
from keras_alexnet.models.loss_check import LossCheck as LossCheck
from keras_alexnet.models.loss_check import check_loss as check_loss
from keras_alexnet.models.with_weights import build as build
from keras_alexnet.networks import variants as variants
from keras_alexnet.networks.summary import layer_table as layer_table
from keras_alexnet.networks.variants import list_variants as list_variants
from keras_alexnet.perceptual.config import DistanceConfig as DistanceConfig
from keras_alexnet.perceptual.layer import PerceptualDistance as PerceptualDistance
from keras_alexnet.perceptual.measure import ImageDistance as ImageDistance
from keras_alexnet.perceptual.measure import measure_distances as measure_distances
from keras_alexnet.perceptual.objectives import PerceptualLoss as PerceptualLoss
from keras_alexnet.perceptual.objectives import PerceptualMetric as PerceptualMetric
from keras_alexnet.predicting.features.extract import Features as Features
from keras_alexnet.predicting.features.extract import features as features
from keras_alexnet.predicting.predict import Prediction as Prediction
from keras_alexnet.predicting.predict import predict as predict
from keras_alexnet.trained import TrainedNetwork as TrainedNetwork
from keras_alexnet.trained import load as load
from keras_alexnet.training import recipes as recipes
from keras_alexnet.training.config import TrainConfig as TrainConfig
from keras_alexnet.training.recipes import list_recipes as list_recipes
from keras_alexnet.training.tracking.callback import TrainingLog as TrainingLog
from keras_alexnet.training.train import train as train
from keras_alexnet.utils.pixels import check_pixels as check_pixels

__version__: str

def require_tensorflow() -> None: ...
