"""What most people write: FastAPI with a pydantic body and a LightGBM model. MODEL is the model's text."""

import os

import lightgbm
from fastapi import FastAPI
from pydantic import BaseModel

model = lightgbm.Booster(model_file=os.environ["MODEL"])
app = FastAPI()


class Request(BaseModel):
    """One row."""

    features: list[float]


class Response(BaseModel):
    """Its score."""

    score: float


@app.post("/predict")
async def predict(request: Request) -> Response:
    """Score one row."""
    return Response(score=model.predict([request.features], num_threads=1)[0])
