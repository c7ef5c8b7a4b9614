"""The coordinator, as an app of Flower."""

from flwr.app import ArrayRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from fedapp import workload

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """As many rounds as the environment says, with all sites in each."""
    sites, rounds = int(workload.option("SITES")), int(workload.option("ROUNDS"))

    def evaluate(turn: int, arrays: ArrayRecord) -> MetricRecord:
        workload.mark()
        return MetricRecord({"round": turn})

    strategy = FedAvg(
        fraction_train=1.0, fraction_evaluate=0.0, min_train_nodes=sites, min_available_nodes=sites
    )
    first = ArrayRecord(workload.first(int(workload.option("HIDDEN"))))
    strategy.start(grid=grid, initial_arrays=first, num_rounds=rounds, evaluate_fn=evaluate)
