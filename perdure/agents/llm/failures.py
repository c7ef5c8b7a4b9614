"""What a failed call of the `openai` package means, with place, finding and hint, and without keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from perdure.agents.agent import AgentContext
from perdure.errors import AgentError, FinalError, NotGranted, TransientError
from perdure.graph.javascript import to_string
from perdure.graph.values import Value, is_dict
from perdure.net import failures

if TYPE_CHECKING:
    from perdure.agents.llm.openai_client import Endpoint

_HINTS = {
    401: "check the key: {name}_API_KEY of the worker, or the graph's config.apiKey for a server of its own",
    403: "check what the key may do: {name}_API_KEY of the worker, or the graph's config.apiKey",
    404: "check params.model, and that {url} is the base URL of an OpenAI-compatible server",
    413: "send less: the request is larger than the server takes",
    501: "use another server: this one does not offer what was asked",
}
_NO_HELP = {
    "context_length_exceeded": "send less text, or ask for fewer tokens",
    "insufficient_quota": "the account has no credit left: see to its billing",
}
"""Error codes that no waiting hints, whatever status they come with."""


def explain(error: Exception, to: Endpoint, context: AgentContext) -> AgentError:
    """The exception to raise for `error`, which a call to `to` raised. Unknown ones are AgentErrors."""
    import httpx2  # noqa: PLC0415 -- it and openai: not before the first call
    import openai  # noqa: PLC0415 -- the same

    if isinstance(error, openai.APIStatusError):
        failure = _of_status(error.status_code, dict(error.response.headers), error.body, error.message, to)
    elif isinstance(error, openai.APITimeoutError | httpx2.TimeoutException):
        failure = TransientError("gave no answer in time")
    elif isinstance(error, openai.APIConnectionError | httpx2.TransportError):
        cause = error.__cause__ or error
        failure = failures.of_transport(cause, f"broke the connection: {to_text(cause)}")
    elif isinstance(error, openai.APIError) and not isinstance(error, openai.APIResponseValidationError):
        failure = _in_stream(error.body, error.message)
    elif isinstance(error, AgentError):
        failure = error
    elif isinstance(error, RecursionError):
        failure = AgentError("gave a malformed answer: it is nested too deeply")
    else:
        failure = AgentError(f"gave a malformed answer: {to_text(error)}")
    return _placed(failure, to, context)


def to_text(error: BaseException) -> str:
    """``Type: text`` of an exception, of a group the first one's."""
    first = error
    while isinstance(first, BaseExceptionGroup):
        first = cast("BaseExceptionGroup[BaseException]", first).exceptions[0]
    return f"{type(first).__name__}: {first}" if str(first) else type(first).__name__


def _placed(error: AgentError, to: Endpoint, context: AgentContext) -> AgentError:
    """`error` with the agent and the host in front, and no key in it."""
    secrets = (to.key, *context.settings.keys.values())
    text = f"{context.agent}: {to.host}: {failures.redact(str(error), secrets)}"
    if isinstance(error, TransientError):
        return TransientError(text, error.retry_after)
    if isinstance(error, NotGranted):
        return NotGranted(text)
    return FinalError(text) if isinstance(error, FinalError) else AgentError(text)


def _of_status(status: int, headers: dict[str, str], body: Value, message: str, to: Endpoint) -> AgentError:
    code, said = _said(body, message)
    text = f"HTTP {status}: {said}"
    if code in _NO_HELP:
        return FinalError(text, hint=_NO_HELP[code])
    if failures.is_transient(status):
        return failures.of_status(status, text, headers)
    hint = _HINTS.get(status, "check the request against the server's documentation")
    hint = hint.format(name=to.provider.upper(), url=to.base_url)
    return failures.of_status(status, text, headers, hint=hint)


def _in_stream(body: Value, message: str) -> AgentError:
    """An error that came as an event of a stream that had begun with status 200."""
    code, said = _said(body, message)
    kind = to_string(body.get("type")) if is_dict(body) else ""
    text = f"the stream ended with an error: {said}"
    if code in _NO_HELP:
        return FinalError(text, hint=_NO_HELP[code])
    refused = kind == "invalid_request_error" or (code.isdigit() and 400 <= int(code) < 500)
    if refused and not failures.is_transient(int(code) if code.isdigit() else 400):
        return FinalError(text)
    return TransientError(text)


def _said(body: Value, message: str) -> tuple[str, str]:
    """The code and the text of an error body; servers differ in how deep they put them."""
    inner = body.get("error", body) if is_dict(body) else body
    if not is_dict(inner):
        return "", str(inner or message)[: failures.MAX_SERVICE_MESSAGE_CHARS]
    code, text = inner.get("code"), inner.get("message")
    return "" if code is None else to_string(code), to_string(text) if text else message
