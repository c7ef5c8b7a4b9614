"""The agents there are: those that are shipped, those of a module, those of installed packages.

Modules and packages are imported only when they are asked for by name.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeAlias, cast

from perdure.agents.agent import Agent, declared
from perdure.agents.filters import AgentFilter
from perdure.agents.llm import agents as llm
from perdure.agents.llm import providers
from perdure.agents.shipped import (
    arrays,
    compare,
    data,
    debug_agents,
    embeddings,
    events,
    fetch,
    files,
    human_input,
    images,
    matrix,
    paths,
    property_filter,
    sleeper,
    string_template,
    strings,
    tokens,
    tools,
    wikipedia,
    windows,
)
from perdure.errors import UsageError

ENTRY_POINTS: Final = "perdure.agents"
"""The group of entry points in which packages offer agents: each a module, or one agent."""

SHIPPED: Final[tuple[Callable[..., Any], ...]] = (
    arrays.array_find_first_exists,
    arrays.array_flat,
    arrays.array_join,
    arrays.array_to_object,
    arrays.pop,
    arrays.push,
    arrays.shift,
    compare.compare,
    data.copy,
    data.data_object_merge,
    data.data_sum,
    data.lookup_dictionary,
    data.merge_object,
    data.total,
    images.images_to_message,
    matrix.dot_product,
    matrix.sort_by_values,
    paths.path_utils,
    human_input.text_input,
    human_input.human_input,
    events.wait,
    events.event,
    events.send,
    events.outbox,
    windows.window,
    debug_agents.copy_message,
    debug_agents.copy_to_array,
    debug_agents.counting,
    debug_agents.echo,
    debug_agents.merge_node_id,
    debug_agents.stream_mock,
    property_filter.property_filter,
    sleeper.sleep_and_merge,
    sleeper.sleeper,
    sleeper.sleeper_debug,
    string_template.string_template,
    strings.console,
    strings.json_parser,
    strings.string_case_variants,
    strings.string_splitter,
    tokens.token_bound_strings,
    fetch.fetch,
    fetch.vanilla_fetch,
    wikipedia.wikipedia,
    files.file_read,
    files.file_write,
    embeddings.string_embeddings,
    llm.openai_chat,
    llm.openai_fetch,
    llm.openai_image,
    providers.anthropic,
    providers.gemini,
    providers.groq,
    tools.data,
    tools.merge,
    tools.offered,
    tools.refusal,
)
"""The function of every agent that comes with Perdure."""


Agents: TypeAlias = Mapping[str, Agent] | Iterable[Callable[..., Any]]
"""Agents by their names, or functions with the decorator."""


def catalog() -> dict[str, Agent]:
    """The shipped agents by name."""
    return _by_name(SHIPPED, "the shipped agents")


def load_agents(module_name: str) -> dict[str, Agent]:
    """The agents of a module, which is imported: ``package.module``, or ``path/to/file.py``.

    Agents count that are declared in the module or imported into it, except shipped ones.
    Raises UsageError if there is no such module, it cannot be imported, or it has no agents.
    """
    place = f"agents module {module_name!r}"
    return _agents_of(_module(module_name, place), place)


def load_filters(module_name: str) -> tuple[AgentFilter, ...]:
    """The filters of a module, which is imported: its list or tuple named `filters`, in that order.

    The module is named as for load_agents. Raises UsageError where it has no such list.
    """
    place = f"filters module {module_name!r}"
    listed = getattr(_module(module_name, place), "filters", None)
    if not isinstance(listed, list | tuple):
        raise UsageError(f"{place}: no filters in it. Give it a list of AgentFilters named `filters`.")
    filters = tuple(cast("Iterable[object]", listed))
    for entry in filters:
        if not isinstance(entry, AgentFilter):
            raise UsageError(
                f"{place}: {entry!r} in `filters` is not an AgentFilter. Write AgentFilter(NAME, FUNCTION)."
            )
    return cast("tuple[AgentFilter, ...]", filters)


def load_entry_point(name: str) -> dict[str, Agent]:
    """The agents that an installed package offers as `name` in the group ``perdure.agents``.

    Raises UsageError where no package does, several do, or the offer cannot be loaded.
    """
    place = f"agents entry point {name!r}"
    offers = entry_points(group=ENTRY_POINTS)
    matches = {offer.value: offer for offer in offers.select(name=name)}
    if len(matches) != 1:
        known = ", ".join(sorted({offer.name for offer in offers})) or "none"
        finding = (
            f"offered by several packages: {', '.join(sorted(matches))}"
            if matches
            else "no installed package offers it"
        )
        raise UsageError(f"{place}: {finding}. Entry points in {ENTRY_POINTS}: {known}.")
    offer = next(iter(matches.values()))
    try:
        loaded: Any = offer.load()
    except (Exception, SystemExit) as error:
        raise _import_failed(f"{place} ({offer.value})", error) from error
    if isinstance(loaded, ModuleType):
        return _agents_of(loaded, place)
    return _by_name([loaded] if declared(loaded) else [], place)


def _module(name: str, place: str) -> ModuleType:
    return _import_file(Path(name), place) if name.endswith(".py") else _import(name, place)


def _import(name: str, place: str) -> ModuleType:
    _make_importable(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _import_failed(place, error) from error
        raise UsageError(
            f"{place}: there is no module {error.name!r} here or among the installed packages. "
            "Give a name that Python can import, or the path of a .py file."
        ) from error
    except (Exception, SystemExit) as error:
        raise _import_failed(place, error) from error


def _import_file(path: Path, place: str) -> ModuleType:
    if not path.is_file():
        raise UsageError(f"{place}: there is no such file. The path is taken from {Path.cwd()}.")
    path = path.resolve()
    # A name of its own, so that agents.py of one folder is not taken for that of another.
    name = f"{path.stem}_{sha256(str(path).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{place}: Python cannot load this file.")
    module = importlib.util.module_from_spec(spec)
    _make_importable(path.parent)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _import_failed(place, error) from error
    return module


def _make_importable(folder: Path) -> None:
    """Makes the modules of `folder` importable, after all others: none of them can replace a library."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _import_failed(place: str, error: BaseException) -> UsageError:
    frames = traceback.extract_tb(error.__traceback__)
    outside = [frame for frame in frames if not _is_ours(frame.filename)]
    where = f" at {outside[-1].filename}:{outside[-1].lineno}" if outside else ""
    return UsageError(f"{place}: importing it failed{where}: {type(error).__name__}: {error}")


def _is_ours(filename: str) -> bool:
    """Whether a frame belongs to the loading of agents or to their decorator, not to what is loaded."""
    return (
        filename.startswith("<") or "importlib" in filename or Path(filename).parent == Path(__file__).parent
    )


def _agents_of(module: ModuleType, place: str) -> dict[str, Agent]:
    functions = [value for value in vars(module).values() if callable(value) and declared(value)]
    return _by_name([function for function in functions if function not in SHIPPED], place)


def _by_name(functions: Iterable[Callable[..., Any]], place: str) -> dict[str, Agent]:
    agents: dict[str, Agent] = {}
    for agent in filter(None, map(declared, functions)):
        if agents.setdefault(agent.name, agent) is not agent:
            raise UsageError(
                f"{place}: two functions are declared to be the agent {agent.name!r}. Rename one."
            )
    if not agents:
        raise UsageError(
            f"{place}: no agents in it. Decorate a function with @agent(NAME) from perdure.agents.agent."
        )
    return agents


def agents_by_name(agents: Agents) -> dict[str, Agent]:
    """Agents by name, from a mapping or from decorated functions.

    Raises UsageError for whatever is not an agent: a run would wait for it without an end.
    """
    if isinstance(agents, Mapping):
        named = cast(Mapping[str, Agent], agents)
        return {name: _checked(agent, name) for name, agent in named.items()}
    declared_agents = [
        _checked(declared(function), str(getattr(function, "__name__", function))) for function in agents
    ]
    return {item.name: item for item in declared_agents}


def _checked(agent: object, name: str) -> Agent:
    if isinstance(agent, Agent):
        return agent
    if callable(agent) and declared(agent):
        raise UsageError(f"agent {name!r} is a function, and not an Agent", hint=f"pass {name}.agent")
    raise UsageError(
        f"agent {name!r} is not declared to be one", hint=f'decorate its function with @agent("{name}")'
    )
