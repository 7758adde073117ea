"""Write the model as MLflow keeps it, for `mlflow models serve`. MODEL is the model's text, FOLDER where it goes."""

import os

import lightgbm
import mlflow.lightgbm

mlflow.lightgbm.save_model(
    lightgbm.Booster(model_file=os.environ["MODEL"]), os.environ["FOLDER"], pip_requirements=["lightgbm"]
)
