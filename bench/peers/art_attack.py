"""ART's HopSkipJump on a LightGBM model, as a black box. Reads JSON, writes JSON: distances, processor time a row."""

import json
import sys
import time

import art
import lightgbm
import numpy as np
from art.attacks.evasion import HopSkipJump
from art.estimators.classification import BlackBoxClassifier


def main() -> None:
    """Attack the rows named in the input; the distance of a failed attack is infinite, which JSON says as null."""
    asked = json.load(sys.stdin)
    booster = lightgbm.Booster(model_file=asked["model"])
    rows, std = np.array(asked["rows"]), np.array(asked["std"])
    np.random.seed(asked["seed"])  # noqa: NPY002  # the peer draws from NumPy's global state

    def classes(scaled: np.ndarray) -> np.ndarray:
        scores = booster.predict(np.asarray(scaled, np.float64) * std, num_threads=1)
        return np.stack([scores < 0.5, scores >= 0.5], axis=1).astype(np.float32)

    scaled = (rows / std).astype(np.float32)
    classifier = BlackBoxClassifier(classes, (rows.shape[1],), 2)
    attack = HopSkipJump(classifier, norm=np.inf, verbose=False, **asked["budget"])
    begun = time.process_time_ns()
    mask = np.array(asked["mask"], np.float32)
    moved = attack.generate(scaled, mask=np.broadcast_to(mask, scaled.shape) if not mask.all() else None)
    spent_ms = (time.process_time_ns() - begun) / 1e6 / len(rows)
    turned = classes(moved).argmax(axis=1) != classes(scaled).argmax(axis=1)
    distances = [float(d) if t else None for d, t in zip(np.abs(moved - scaled).max(axis=1), turned, strict=True)]
    print(json.dumps({"version": art.__version__, "distances": distances, "ms_per_row": spent_ms}))


if __name__ == "__main__":
    main()
