"""BentoML's service of the model, by its own documentation. MODEL is the model's text."""

import os

import bentoml
import lightgbm


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Scorer:
    """Scores one row."""

    def __init__(self) -> None:
        self.model = lightgbm.Booster(model_file=os.environ["MODEL"])

    @bentoml.api(route="/predict")
    async def predict(self, features: list[float]) -> float:
        """Score one row."""
        return float(self.model.predict([features], num_threads=1)[0])
