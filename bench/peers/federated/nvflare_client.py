"""A site of NVFlare's simulator. Its weights are one vector."""

import numpy as np
import nvflare.client as flare
from fedapp import workload
from nvflare.app_common.abstract.fl_model import FLModel

flare.init()
site = int(flare.get_site_name().split("-")[1]) - 1
shapes = [array.shape for array in workload.first(int(workload.option("HIDDEN")))]
ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
while flare.is_running():
    model = flare.receive()
    if site == 0:
        workload.mark()
    parts = np.split(np.asarray(model.params["numpy_key"], np.float32), ends)
    weights = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]
    weights, samples = workload.trained(weights, site, int(workload.option("SITES")), model.current_round)
    flare.send(
        FLModel(
            params={"numpy_key": np.concatenate([array.ravel() for array in weights])},
            metrics={"accuracy": 0.0},
            meta={"NUM_STEPS_CURRENT_ROUND": samples},
        )
    )
