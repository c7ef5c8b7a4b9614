"""NVFlare's simulator: nvflare_simulation.py FOLDER. Run by bench.federated."""

import sys
from pathlib import Path

import numpy as np
from fedapp import workload
from nvflare.app_common.np.recipes.fedavg import NumpyFedAvgRecipe
from nvflare.recipe import SimEnv

first = np.concatenate([array.ravel() for array in workload.first(int(workload.option("HIDDEN")))])
sites = int(workload.option("SITES"))
recipe = NumpyFedAvgRecipe(
    name="digits",
    model=first.tolist(),
    min_clients=sites,
    num_rounds=int(workload.option("ROUNDS")),
    train_script=str(Path(__file__).with_name("nvflare_client.py")),
)
recipe.execute(SimEnv(num_clients=sites, workspace_root=sys.argv[1]))
