"""Whose a store is: one namespace of one server. Another one's garbage collection would remove its values."""

from __future__ import annotations

import re
from datetime import timedelta

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from perdure.storage.objects import Store


async def other_owners(temporal: Client, store: Store, timeout: timedelta) -> list[str]:
    """The namespaces besides that of `temporal` that use `store`, which knows that this one does from now on.

    Raises RPCError and StoreUnavailable.
    """
    request = DescribeNamespaceRequest(namespace=temporal.namespace)
    answer = await temporal.workflow_service.describe_namespace(request, timeout=timeout)
    name = re.sub(r"[^\w.-]", "_", temporal.namespace, flags=re.ASCII)
    return await store.own(f"{name}-{answer.namespace_info.id}")
