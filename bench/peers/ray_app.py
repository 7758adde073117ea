"""Ray Serve's deployment of the model, by its own documentation. MODEL is the model's text, PORT where it listens."""

import os
import signal

import lightgbm
import ray
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=1, max_ongoing_requests=100, logging_config={"enable_access_log": False})
class Scorer:
    """Scores one row."""

    def __init__(self, model: str) -> None:
        self.model = lightgbm.Booster(model_file=model)

    async def __call__(self, request: Request) -> dict[str, float]:
        """Score one row."""
        features = (await request.json())["features"]
        return {"score": float(self.model.predict([features], num_threads=1)[0])}


if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, logging_level="warning")
    place = {"host": "127.0.0.1", "port": int(os.environ["PORT"])}
    serve.start(http_options=place, logging_config={"enable_access_log": False})
    serve.run(Scorer.bind(os.environ["MODEL"]), route_prefix="/predict")
    signal.sigwait([signal.SIGTERM, signal.SIGINT])
    serve.shutdown()
    ray.shutdown()
