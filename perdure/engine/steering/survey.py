"""What a change of a running graph means for each of its nodes: nothing is changed here.

Why
    A run is worth its results, and they are kept where nothing that made them changes. So a change is held
    against what has happened: nodes that have not begun take it over; what has a result, or is executing, is
    affected only if its own definition or a source of it changes, and then a person has to say what is to
    become of it.

Invariant
    What follows from the answers of `survey` is what a full run of the new graph would give, unless a person
    asked to keep a result. The affected are result by following references from what changes, as far as there
    are results that can have been used; a node without one has been used by no other.

Rejected
    To find out what is affected by comparing results after executing again: the run would have called agents
    before anyone was asked.
    To change a run by its history, as a reset does: all that came after would be lost.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from perdure.engine.board import Board, Rules
from perdure.engine.granting.verdicts import judged
from perdure.engine.maps.places import covers
from perdure.engine.plan import Plan
from perdure.engine.plan_cache import checked_plan
from perdure.engine.steering.decisions import GraphChange, Named, Survey
from perdure.engine.steering.graph_survey import GraphSurvey
from perdure.engine.steering.request import NodeChange, Steering
from perdure.errors import UsageError
from perdure.graph.wording import suggestion


def survey(board: Board, rules: Rules, request: Steering) -> Survey:
    """What the request means for the run as it is. Raises GraphError for a graph that is wrong.

    Raises UsageError for a name that no node has.
    """
    root = board.root
    plan = root.plan
    if request.graph is not None:
        plan = checked_plan(request.graph, rules.options.graphs, rules.agents, rules.is_bounded)
    named = Named(request)
    result = Survey([], [])
    GraphSurvey(board, rules, request, named, result, GraphChange(root, plan)).look()
    named.check(board, plan)
    result.nodes += _beyond_the_run(rules, root.plan, plan)
    _look_at_pauses(board, plan, request, result)
    return result


def _beyond_the_run(rules: Rules, old: Plan, new: Plan) -> Iterator[NodeChange]:
    """The nodes of another graph that may not do what they say, by the policy of the run's worker."""
    if new is old or not rules.authority.counts:
        return
    known = {
        verdict_on.place
        for verdict_on in judged(old.document, rules.authority)
        if verdict_on.verdict == "refused"
    }
    for verdict_on in judged(new.document, rules.authority):
        if verdict_on.verdict == "refused" and verdict_on.place not in known:
            yield NodeChange(verdict_on.place, "definition", "", "", f"not granted: {verdict_on.why}")


def _look_at_pauses(board: Board, plan: Plan, request: Steering, result: Survey) -> None:
    result.paused = dict.fromkeys((*board.paused, *request.pauses))
    for place in request.pauses:
        outer = next((name for name in plan.order if covers(name, place)), None)
        if place and outer is None:
            raise UsageError(f"the run has no node {place!r}", hint=suggestion(place, plan.order))
        result.nodes.append(NodeChange(place, "pause", "", "does not start"))
    for place in request.resumes:
        ended = [inner for inner in result.paused if covers(place, inner)]
        if not ended:
            raise UsageError(f"{place or 'the run'} is not paused", hint=_paused(result.paused))
        for inner in ended:
            del result.paused[inner]
        result.nodes.append(NodeChange(place, "resume", "", "starts again"))


def _paused(places: Collection[str]) -> str:
    return f"paused: {', '.join(place or 'the run' for place in places)}" if places else ""
