"""What `perdure doctor` asks a Temporal server: version, namespace, search attributes, queues, time."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, GetSystemInfoRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConnectConfig
from temporalio.service import RPCError, RPCStatusCode

from perdure import server
from perdure.cli.doctor.framework import Finding, State, checked, failed, fine, warning
from perdure.cli.doctor.machine import not_running, running
from perdure.cli.doctor.payload_keys import payload_keys
from perdure.cli.doctor.queues import Needs, long_calls, needs_of, queues
from perdure.errors import ConnectionFailed, UsageError
from perdure.server.supervisor import SEARCH_ATTRIBUTES
from perdure.settings import Settings, names
from perdure.temporal.rpc_errors import RPC_TIMEOUT, short
from perdure.temporal.search_attributes import GRAPH_KEY
from perdure.transport import INSECURE_HINT, KEY_HINT, codec_mode_for, configured, is_allowed, is_plain, reach

CLOUD = (".tmprl.cloud", ".temporal.io")
KNOWN_VULNERABILITIES = "CVE-2025-14986, CVE-2025-14987 and CVE-2026-5199"
CONNECT_CHECK_TIMEOUT_S = 15.0
"""Seconds: a little more than the client gives itself."""

MAX_CLOCK_DRIFT_S = 2.0
"""Seconds that the server may be ahead: less is nothing to speak of."""


async def all_of(settings: Settings, embedded: server.EmbeddedServer | None) -> list[Finding]:
    """Which server is configured, and what it reports. `embedded` is the embedded one if it is running."""
    try:
        config = configured()
    except UsageError as error:
        return [failed("server", str(error), "fix the file or the variable that it names")]
    address = config.get("target_host")
    if address is not None:
        how, hint = f"{address}, by {_source()}", ""
    elif embedded is not None:
        config["target_host"] = embedded.address
        how, hint = running(embedded), "perdure server stop; the next command starts it again"
    else:
        return [*not_running(settings), *payload_keys(settings, settings.codec or "mac")]
    findings = transport(config, insecure=settings.insecure)
    findings += payload_keys(settings, codec_mode_for(settings, address))
    if not is_allowed(config, insecure=settings.insecure):
        return findings
    try:
        temporal = await asyncio.wait_for(reach(config, insecure=settings.insecure), CONNECT_CHECK_TIMEOUT_S)
    except TimeoutError:
        finding = f"{how}: no answer within {CONNECT_CHECK_TIMEOUT_S:g} s"
        return [Finding("server", State.NO_SERVER, finding, hint)]
    except ConnectionFailed as error:
        return [Finding("server", State.NO_SERVER, error.finding, hint or error.hint)]
    findings += await _asked(temporal, settings, local=address is None)
    return [fine("server", f"{how}, answers"), *findings]


def transport(config: ClientConnectConfig, *, insecure: bool) -> list[Finding]:
    """What is wrong where others on the way can read what goes to the server."""
    if not is_plain(config):
        return []
    address = config.get("target_host")
    if not is_allowed(config, insecure=insecure):
        finding = f"{address} would be reached without TLS: no command and no worker connects"
        return [failed("transport", finding, KEY_HINT if config.get("api_key") else INSECURE_HINT)]
    finding = f"{address} is reached without TLS: others on the way can read and change what goes there"
    return [
        warning("transport", finding, "set TEMPORAL_TLS=true, and PERDURE_CODEC=aead where that cannot be")
    ]


def _source() -> str:
    variables = names("TEMPORAL_")
    return "TEMPORAL_ADDRESS" if "TEMPORAL_ADDRESS" in variables else "Temporal's file of profiles"


async def _asked(temporal: Client, settings: Settings, *, local: bool) -> list[Finding]:
    config = temporal.service_client.config
    findings = await checked("version", lambda: _version(temporal, config.target_host))
    namespace = await checked("namespace", lambda: _namespace(temporal))
    findings += namespace
    if any(finding.check == "namespace" and finding.hint.startswith("temporal ") for finding in namespace):
        return findings  # there is no namespace to ask anything else about
    needs = Needs()

    async def look_at_queues() -> list[Finding]:
        nonlocal needs
        needs = await needs_of(temporal)
        return [*await queues(temporal, needs, settings.queue, local=local), *long_calls(needs)]

    both = await asyncio.gather(
        checked("attributes", lambda: _attributes(temporal)), checked("queue", look_at_queues)
    )
    return [*findings, *(line for part in both for line in part), clock(needs.newest, local=local)]


async def _version(temporal: Client, address: str) -> list[Finding]:
    answer = await temporal.workflow_service.get_system_info(GetSystemInfoRequest(), timeout=RPC_TIMEOUT)
    return [version(answer.server_version, address)]


def version(reported: str, address: str) -> Finding:
    """Whether this version of Temporal Server has the holes that are known."""
    if address.rpartition(":")[0].endswith(CLOUD):
        return fine("version", f"Temporal Cloud ({reported or 'it reports no version'})")
    match = re.match(r"(\d+)\.(\d+)\.(\d+)", reported)
    if not match:
        return warning("version", f"the server says {reported!r} of its version", "look it up at the server")
    number = tuple(map(int, match.groups()))
    if (1, 29, 5) <= number < (1, 30) or number > (1, 30, 2):
        return fine("version", f"Temporal Server {reported}")
    return warning(
        "version",
        f"Temporal Server {reported} has known vulnerabilities: {KNOWN_VULNERABILITIES}",
        "upgrade to 1.29.5 or newer of 1.29, newer than 1.30.2 of 1.30, or any later version",
    )


async def _namespace(temporal: Client) -> list[Finding]:
    name = temporal.namespace
    try:
        answer = await temporal.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=name), timeout=RPC_TIMEOUT
        )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            hint = f"temporal operator namespace create -n {name} --retention 30d, or set TEMPORAL_NAMESPACE"
            return [failed("namespace", f"there is no namespace {name!r}", hint)]
        hint = "give these credentials the right to read it, or use others (TEMPORAL_API_KEY)"
        return [failed("namespace", f"{name}: the server refuses to describe it: {short(error)}", hint)]
    hours = answer.config.workflow_execution_retention_ttl.seconds / 3600
    kept = f"{hours / 24:g} days" if hours >= 48 else f"{hours:g} hours"
    return [fine("namespace", f"{name}: what ended runs leave behind is kept for {kept}")]


async def _attributes(temporal: Client) -> list[Finding]:
    request = ListSearchAttributesRequest(namespace=temporal.namespace)
    try:
        answer = await temporal.operator_service.list_search_attributes(request, timeout=RPC_TIMEOUT)
    except RPCError as error:
        hint = "runs work all the same; Temporal Cloud shows its attributes in its console"
        return [warning("attributes", f"the server does not list them: {short(error)}", hint)]
    attributes = answer.custom_attributes
    keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    create = f"temporal operator search-attribute create -n {temporal.namespace} --type Keyword --name"
    missing = [name for name in SEARCH_ATTRIBUTES if name not in attributes]
    wrong = [name for name in SEARCH_ATTRIBUTES if name in attributes and attributes[name] != keyword]
    findings: list[Finding] = []
    if wrong:
        hint = f"temporal operator search-attribute remove -n {temporal.namespace} --name NAME; {create} NAME"
        text = f"not of type Keyword: {', '.join(wrong)}"
        findings.append(failed("attributes", text, hint))
    if missing:
        what = "not registered: " + ", ".join(missing)
        if GRAPH_KEY.name in missing:
            what += "; runs work, but cannot be found by graph"
        findings.append(warning("attributes", what, "\n".join(f"{create} {name}" for name in missing)))
    return findings or [fine("attributes", ", ".join(SEARCH_ATTRIBUTES))]


def clock(newest: datetime | None, *, local: bool, now: datetime | None = None) -> Finding:
    """Whether this clock is behind the server's.

    Temporal dates no answer, only what happened. A time in the future shows that this clock is behind; if
    it is ahead, the server's newest time merely looks old.
    """
    if local:
        return fine("clock", "the server is on this machine")
    if newest is None:
        return fine("clock", "not compared: there is no open run whose start the server has dated")
    ahead = (newest - (now or datetime.now(UTC))).total_seconds()
    if ahead > MAX_CLOCK_DRIFT_S:
        return warning(
            "clock",
            f"this machine is behind the server by {ahead:.0f} s or more",
            "let NTP set the clock: with a wrong one, workers look as if they were gone",
        )
    return fine("clock", "not behind the server's: its newest run does not begin in the future")
