#!/bin/sh
# Environments of the peers, one each, below bench/.peers: their pins conflict with each other and with ours.
# NautilusTrader 1.221 wants Python 3.11 to 3.13. LightGBM is there already, with the training extra.
set -e
python=${1:-python3}
folder=$(dirname "$0")/../.peers
mkdir -p "$folder"
"$python" -m venv "$folder/nautilus"
"$folder/nautilus/bin/pip" --disable-pip-version-check --quiet install "nautilus_trader==1.221.0" "lightgbm>=4.5" pandas
"$folder/nautilus/bin/python" -c "import nautilus_trader; print('NautilusTrader', nautilus_trader.__version__)"
"$python" -m venv "$folder/river"
"$folder/river/bin/pip" --disable-pip-version-check --quiet install "river>=0.21"
"$folder/river/bin/python" -c "import river; print('river', river.__version__)"
"$python" -m venv "$folder/fastapi"
"$folder/fastapi/bin/pip" --disable-pip-version-check --quiet install "fastapi>=0.115" "uvicorn[standard]" "lightgbm>=4.5"
"$folder/fastapi/bin/python" -c "import fastapi; print('FastAPI', fastapi.__version__)"
"$python" -m venv "$folder/mlserver"
"$folder/mlserver/bin/pip" --disable-pip-version-check --quiet install "mlserver>=1.6" "mlserver-lightgbm>=1.6"
"$folder/mlserver/bin/python" -c "import mlserver; print('MLServer', mlserver.__version__)"
"$python" -m venv "$folder/bentoml"
"$folder/bentoml/bin/pip" --disable-pip-version-check --quiet install "bentoml>=1.4" "lightgbm>=4.5"
"$folder/bentoml/bin/python" -c "import importlib.metadata as m; print('BentoML', m.version('bentoml'))"
"$python" -m venv "$folder/litserve"
"$folder/litserve/bin/pip" --disable-pip-version-check --quiet install "litserve>=0.2" "lightgbm>=4.5"
"$folder/litserve/bin/python" -c "import importlib.metadata as m; print('LitServe', m.version('litserve'))"
"$python" -m venv "$folder/mlflow"
"$folder/mlflow/bin/pip" --disable-pip-version-check --quiet install "mlflow-skinny>=2.20" "lightgbm>=4.5" pandas fastapi "uvicorn[standard]" scikit-learn
"$folder/mlflow/bin/python" -c "import mlflow; print('MLflow', mlflow.__version__)"
"$python" -m venv "$folder/ray"
"$folder/ray/bin/pip" --disable-pip-version-check --quiet install "ray[serve]>=2.40" "lightgbm>=4.5"
"$folder/ray/bin/python" -c "import ray; print('Ray', ray.__version__)"
"$python" -m venv "$folder/art"
"$folder/art/bin/pip" --disable-pip-version-check --quiet install "adversarial-robustness-toolbox>=1.17" packaging "lightgbm>=4.5"
"$folder/art/bin/python" -c "import art; print('ART', art.__version__)"
"$python" -m venv "$folder/nannyml"
"$folder/nannyml/bin/pip" --disable-pip-version-check --quiet install "nannyml>=0.13" statsmodels
"$folder/nannyml/bin/python" -c "import nannyml; print('NannyML', nannyml.__version__)"
