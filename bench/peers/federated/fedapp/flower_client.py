"""A site, as an app of Flower."""

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fedapp import workload

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """One epoch."""
    node, config = context.node_config, message.content["config"]
    weights, samples = workload.trained(
        message.content["arrays"].to_numpy_ndarrays(),
        int(node["partition-id"]),
        int(node["num-partitions"]),
        int(config["server-round"]),
    )
    content = {"arrays": ArrayRecord(weights), "metrics": MetricRecord({"num-examples": samples})}
    return Message(content=RecordDict(content), reply_to=message)
