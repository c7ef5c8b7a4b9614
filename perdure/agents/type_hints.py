"""Type hints of agents as schemas: what a hint says is documented, and checked at every call.

A hint that says more than "a dictionary" or "a list" (a TypedDict, a dataclass, a pydantic model,
list[int], str, ...) is handed to pydantic, which is imported for such hints only. Values are read as
JSON is, without conversions that surprise: "5" is not a number, true is not 1; but an object becomes the
dataclass, and a string the date, that the hint asks for.
"""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, Final, cast

from perdure.errors import AgentError, FinalError, with_hint
from perdure.graph.values import UNDEFINED, Value, is_dict, is_list

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails, ValidationError

Schema = Mapping[str, Any]

HINTED: Final = ("inputs", "params", "return")
MAX_SHOWN_FINDINGS_COUNT: Final = 5
"""How many findings one error message lists."""

_ANYTHING: Final = (Any, object, None, NoneType)
_CONTAINERS: Final = (dict, list, Mapping, MutableMapping)


@dataclass(frozen=True, slots=True)
class Hint:
    """One precise type hint: pydantic's reader for it, and its JSON Schema."""

    adapter: TypeAdapter[Any]
    schema: Schema


@dataclass(frozen=True, slots=True)
class Typed:
    """The precise hints of an agent's function, by what they are hints of (see HINTED)."""

    agent: str
    hints: Mapping[str, Hint]

    def schema(self, of: str) -> Schema | None:
        """What the hint of "inputs", "params" or "return" says; None where it says nothing."""
        return self.hints[of].schema if of in self.hints else None

    def call(self, function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
        """Calls `function` with its arguments as the types it asks for: a value, or an awaitable.

        Raises FinalError for arguments that do not fit, AgentError for such a result.
        """
        result = function(**{name: self._read(name, value) for name, value in arguments.items()})
        if "return" not in self.hints:
            return result
        return self._awaited(result) if inspect.isawaitable(result) else self._written(result)

    async def _awaited(self, result: Awaitable[Any]) -> Value:
        return self._written(await result)

    def _read(self, name: str, value: Any) -> Any:
        hint = self.hints.get(name)
        if hint is None:
            return value
        from pydantic import ValidationError  # noqa: PLC0415 -- for agents with precise hints only

        try:
            data = json.dumps(defined(value), ensure_ascii=False).encode()
            return hint.adapter.validate_json(data, strict=True)
        except ValidationError as error:
            raise FinalError(_message(self.agent, name, error)) from None
        except TypeError:
            hint = "do without a type hint there, or with dict[str, numpy.ndarray]"
            finding = "there is an array, or a byte string, where JSON is expected"
            raise FinalError(f"{self.agent}: {name}: {finding}", hint=hint) from None
        except UnicodeEncodeError:
            finding = "a string holds half of a UTF-16 pair, which Python cannot encode"
            raise FinalError(f"{self.agent}: {name}: {finding}") from None

    def _written(self, result: Any) -> Value:
        from pydantic import ValidationError  # noqa: PLC0415 -- for agents with precise hints only
        from pydantic_core import PydanticSerializationError  # noqa: PLC0415 -- the same

        adapter = self.hints["return"].adapter
        try:
            checked = adapter.validate_python(result, strict=True)
            return adapter.dump_python(checked, mode="json", by_alias=True, warnings="error")
        except ValidationError as error:
            raise AgentError(_message(self.agent, "result", error)) from None
        except PydanticSerializationError as error:
            raise AgentError(f"{self.agent}: result: {error}") from None


def typed(agent: str, function: Callable[..., Any]) -> Typed | None:
    """What the type hints of `function` say, None where all of them are plain.

    Raises TypeError for a hint that cannot be resolved, or that has no JSON Schema.
    """
    hints = {of: hint for of, hint in _hints(agent, function).items() if not _is_plain(hint)}
    if not hints:
        return None
    return Typed(agent, {of: _checked(agent, of, hint) for of, hint in hints.items()})


def defined(value: Value) -> Value:
    """`value` as JSON.stringify sees it: without UNDEFINED members; null for UNDEFINED elements."""
    if is_dict(value):
        return {key: defined(item) for key, item in value.items() if item is not UNDEFINED}
    if is_list(value):
        return [defined(item) for item in value]
    return None if value is UNDEFINED else value


def place(root: str, steps: Sequence[str | int]) -> str:
    """Where in a value: ``inputs.rows[2].text``."""
    return root + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def listed(findings: Sequence[str]) -> str:
    """The first findings, and how many more there are."""
    more = len(findings) - MAX_SHOWN_FINDINGS_COUNT
    return "; ".join(findings[:MAX_SHOWN_FINDINGS_COUNT]) + (f"; and {more} more" if more > 0 else "")


def _hints(agent: str, function: Callable[..., Any]) -> dict[str, Any]:
    inner = inspect.unwrap(function)
    hint: Any = None
    of = "the arguments"
    hints: dict[str, Any] = {}
    try:
        annotations = cast("Mapping[str, Any]", getattr(inner, "__annotations__", {}))
        for of in HINTED:
            hint = annotations.get(of)
            hints[of] = _evaluated(hint, getattr(inner, "__globals__", {})) if isinstance(hint, str) else hint
    except (NameError, AttributeError, SyntaxError) as error:
        text = with_hint(
            f"agent {agent!r}: the type hint {hint!r} of {of} cannot be resolved: {error}",
            "define the type at the top level of the module, above the agent, and import it outside of "
            "`if TYPE_CHECKING`; or do without `from __future__ import annotations`",
        )
        raise TypeError(text) from None
    hints["return"] = _of_awaitable(hints["return"])
    return hints


def _evaluated(text: str, names: dict[str, Any]) -> Any:
    def stand_in() -> None: ...

    stand_in.__annotations__ = {"hint": text}  # alone: the hint of `context` may be for type checkers only
    return typing.get_type_hints(stand_in, globalns=names, include_extras=True)["hint"]


def _of_awaitable(hint: Any) -> Any:
    """What an awaitable gives: a function that is not async may return one."""
    return typing.get_args(hint)[-1] if typing.get_origin(hint) in (Awaitable, Coroutine) else hint


def _is_plain(hint: Any) -> bool:
    """Whether a hint says no more than: anything, a dictionary of anything, a list of anything."""
    if hint in _ANYTHING or hint in _CONTAINERS or _is_binary(hint):
        return True
    if typing.get_origin(hint) not in _CONTAINERS:
        return False
    *keys, values = typing.get_args(hint) or (Any,)
    return (values in _ANYTHING[:2] or _is_binary(values)) and all(key in (str, Any) for key in keys)


def _is_binary(hint: Any) -> bool:
    """Whether a hint asks for a byte string or for an array of numpy, of which there is no JSON Schema."""
    kind = typing.get_origin(hint) or hint
    return kind is bytes or (getattr(kind, "__module__", "") == "numpy" and kind.__name__ == "ndarray")


def _checked(agent: str, of: str, hint: Any) -> Hint:
    from pydantic import TypeAdapter  # noqa: PLC0415 -- for agents with precise hints only
    from pydantic.errors import PydanticUndefinedAnnotation, PydanticUserError  # noqa: PLC0415 -- the same

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(hint)
        schema = adapter.json_schema(mode="serialization" if of == "return" else "validation")
    except (PydanticUserError, PydanticUndefinedAnnotation, NameError) as error:
        finding = str(error).partition("\n")[0]
        text = with_hint(
            f"agent {agent!r}: the type hint {hint!r} of {of} has no JSON Schema: {finding}",
            "use JSON's types, a TypedDict, a dataclass, a pydantic model; or a plain dict",
        )
        raise TypeError(text) from None
    return Hint(adapter, schema)


def _message(agent: str, root: str, error: ValidationError) -> str:
    details: list[ErrorDetails] = error.errors(include_url=False, include_context=False, include_input=False)
    findings = [f"{place(root, detail['loc'])}: {detail['msg']}" for detail in details]
    return f"{agent}: {listed(findings)}"
