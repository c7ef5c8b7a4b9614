"""Flower's simulation: all sites in one process tree, nothing durable. Run by bench.federated."""

from fedapp import flower_client, flower_server, workload
from flwr.simulation import run_simulation

run_simulation(
    server_app=flower_server.app,
    client_app=flower_client.app,
    num_supernodes=int(workload.option("SITES")),
    backend_config={
        "client_resources": {"num_cpus": 1},
        "init_args": {"num_cpus": 2, "include_dashboard": False},
    },
)
