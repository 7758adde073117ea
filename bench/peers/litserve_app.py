"""LitServe's server of the model, by its own documentation. MODEL is the model's text, PORT where it listens."""

import os

import lightgbm
import litserve


class Scorer(litserve.LitAPI):
    """Scores one row."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe tells it
        """Load the model."""
        self.model = lightgbm.Booster(model_file=os.environ["MODEL"])

    def decode_request(self, request: dict[str, list[float]]) -> list[float]:
        """Read the row."""
        return request["features"]

    def predict(self, x: list[float]) -> float:
        """Score it."""
        return float(self.model.predict([x], num_threads=1)[0])

    def encode_response(self, output: float) -> dict[str, float]:
        """Write the score."""
        return {"score": output}


if __name__ == "__main__":
    server = litserve.LitServer(Scorer(), accelerator="cpu", workers_per_device=1)
    place = {"host": "127.0.0.1", "port": int(os.environ["PORT"]), "num_api_servers": 1}
    server.run(**place, log_level="warning", generate_client_file=False)
