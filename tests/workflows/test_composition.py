"""The user's own workflows and graphs: one client, one worker, one replayer, any converter."""

import multiprocessing
import pickle
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.contrib.pydantic import PydanticPayloadConverter, pydantic_data_converter
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    DefaultPayloadConverter,
    PayloadCodec,
)
from temporalio.worker import Replayer, SharedStateManager, Worker

from perdure import graph_request
from perdure.agents.agent import AgentContext, agent
from perdure.agents.catalog import catalog
from perdure.client import GraphClient
from perdure.errors import RunFailed
from perdure.graph.values import UNDEFINED, Value
from perdure.plugin import GraphPlugin, data_converter, extended
from perdure.protocol.payloads import RunRequest, RunResult
from perdure.worker import WorkerOptions, agent_activities, build_worker
from tests.workflows import own

pytestmark = pytest.mark.anyio

GRAPH = {"nodes": {"b": {"value": 1}, "a": {"agent": "copyAgent", "inputs": {"b": ":b"}, "isResult": True}}}
SPAWN = multiprocessing.get_context("spawn")


async def connected(client: GraphClient, converter: DataConverter) -> Client:
    address = client.temporal.service_client.config.target_host
    return await Client.connect(address, data_converter=converter, plugins=[GraphPlugin()])


BROKEN = {
    "nodes": {
        "nothing": {"agent": "nothing"},
        "broken": {"agent": "broken", "inputs": {"after": ":nothing"}},
    }
}


@agent("nothing")
async def nothing() -> Value:
    """What JSON does not have."""
    return {"it": UNDEFINED}


@agent("numbered")
async def numbered(context: AgentContext) -> str:
    """Its node."""
    return context.node


@agent("broken")
async def broken() -> None:
    """Fails."""
    raise ValueError("no")


async def test_one_worker_one_client_and_one_replayer_for_both(client: GraphClient) -> None:
    temporal = await connected(client, DataConverter.default)
    with ProcessPoolExecutor(1, SPAWN) as processes, SPAWN.Manager() as manager:
        options = WorkerOptions(agents=catalog(), settings=client.settings)
        async with Worker(
            temporal,
            task_queue="beside",
            workflows=[own.Pages],
            activities=[own.turned, own.thrice, *agent_activities(temporal, options)],
            activity_executor=processes,
            shared_state_manager=SharedStateManager.create_from_multiprocessing(manager),
        ):
            page = await temporal.execute_workflow(
                own.Pages.run, args=[own.PAGE, Duration(seconds=5)], id="pages", task_queue="beside"
            )
            request = RunRequest(document=GRAPH, queue="beside")
            result = await temporal.execute_workflow(
                "Graph", request, id="graph", task_queue="beside", result_type=RunResult
            )
            details = await temporal.get_workflow_handle("graph").query("__temporal_workflow_metadata")
    assert page == own.Page([*own.PAGE.lines, own.Line("21 5", own.Color.RED)], own.PAGE.tags)
    assert result.results == {"a": {"b": 1}}
    assert "completed" in details.current_details
    histories = [
        await temporal.get_workflow_handle(workflow_id).fetch_history() for workflow_id in ("pages", "graph")
    ]
    replayer = Replayer(workflows=[own.Pages], plugins=[GraphPlugin()])
    for history in histories:
        await replayer.replay_workflow(history)


async def test_graphs_as_children_keep_the_order_of_their_nodes(client: GraphClient) -> None:
    temporal = await connected(client, DataConverter.default)
    agents = {"numbered": numbered.agent, "broken": broken.agent}
    options = WorkerOptions(agents=agents, settings=client.settings)
    async with Worker(
        temporal,
        task_queue="parents",
        workflows=[own.Parent],
        activities=agent_activities(temporal, options),
    ):
        result = await temporal.execute_workflow(own.Parent.run, id="parent", task_queue="parents")
    assert result == ["b", "a", "b", "a", "RunFailed", "RunFailed: a: ValueError: no"]
    replayer = Replayer(workflows=[own.Parent], plugins=[GraphPlugin()])
    for workflow_id in ("parent", "child"):
        await replayer.replay_workflow(await temporal.get_workflow_handle(workflow_id).fetch_history())


async def test_a_request_keeps_the_order_for_any_client(client: GraphClient) -> None:
    plain = await Client.connect(client.temporal.service_client.config.target_host)
    options = WorkerOptions(agents={"numbered": numbered.agent}, settings=client.settings)
    async with build_worker(client.temporal, "requests", options):
        request = graph_request(own.GRAPH, queue="requests")
        result = await plain.execute_workflow("Graph", request, id="request", task_queue="requests")
    assert list(result["results"]) == ["b", "a"]


async def test_the_converter_for_pydantic_stays(client: GraphClient) -> None:
    temporal = await connected(client, pydantic_data_converter)
    agents = {**catalog(), "nothing": nothing.agent, "broken": broken.agent}
    options = WorkerOptions(agents=agents, settings=client.settings)
    async with Worker(
        temporal,
        task_queue="models",
        workflows=[own.People],
        activities=agent_activities(temporal, options),
    ):
        born = datetime(2026, 1, 2, tzinfo=UTC)
        person = await temporal.execute_workflow(
            own.People.run, args=[own.ADA, born], id="people", task_queue="models"
        )
        graphs = GraphClient(temporal, client.settings)
        run = await graphs.start(GRAPH, queue="models", id="graph-of-models")
        result = await run.result()
        failing = await graphs.start(BROKEN, queue="models", id="broken-of-models")
        with pytest.raises(RunFailed) as caught:
            await failing.result()
    assert person == own.Person(name="Ada", born=born)
    assert result.results == {"a": {"b": 1}}
    assert caught.value.result is not None
    assert caught.value.result.states == {"nothing": "completed", "broken": "failed"}
    assert caught.value.result.all["nothing"] == {"it": UNDEFINED}
    history = await temporal.get_workflow_handle("people").fetch_history()
    replayer = Replayer(
        workflows=[own.People], data_converter=pydantic_data_converter, plugins=[GraphPlugin()]
    )
    await replayer.replay_workflow(history)


class Reversing(PayloadCodec):
    """Encodes payloads in reverse, and says so."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload(metadata={"encoding": b"test/reversed"}, data=each.SerializeToString()[::-1])
            for each in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [Payload.FromString(each.data[::-1]) for each in payloads]


def test_codec_and_failure_converter_are_kept() -> None:
    converter = DataConverter(
        payload_converter_class=PydanticPayloadConverter,
        payload_codec=Reversing(),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )
    made = data_converter(converter)
    assert isinstance(made.payload_codec, Reversing)
    assert issubclass(made.failure_converter_class, DefaultFailureConverterWithEncodedAttributes)
    assert issubclass(made.payload_converter_class, PydanticPayloadConverter)
    # A second plugin changes nothing.
    assert data_converter(made).payload_converter_class is made.payload_converter_class
    assert data_converter(made).failure_converter_class is made.failure_converter_class


def test_the_class_can_be_pickled_for_activities_in_other_processes() -> None:
    made = extended(DefaultPayloadConverter)
    assert pickle.loads(pickle.dumps(made)) is made
