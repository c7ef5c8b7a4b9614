"""The search attributes by which the server finds runs."""

from __future__ import annotations

from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError

from perdure.protocol.names import GRAPH_ATTRIBUTE
from perdure.temporal.rpc_errors import RPC_TIMEOUT

GRAPH_KEY = SearchAttributeKey.for_keyword(GRAPH_ATTRIBUTE)


async def knows_attributes(temporal: Client, names: set[str]) -> bool:
    """Whether this server has these search attributes; an unknown one makes a start fail."""
    request = ListSearchAttributesRequest(namespace=temporal.namespace)
    try:
        answer = await temporal.operator_service.list_search_attributes(request, timeout=RPC_TIMEOUT)
    except RPCError:
        return False
    return names <= set(answer.custom_attributes)
