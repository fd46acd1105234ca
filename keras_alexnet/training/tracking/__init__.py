"""Where a run writes what it measures: TensorBoard, CSV, Weights & Biases, MLflow."""
