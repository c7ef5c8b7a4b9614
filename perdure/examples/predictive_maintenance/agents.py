"""The agents of this example: what happens when a component may fail."""

from perdure import AgentContext, agent


@agent("alertAgent", description="Notifies people that a component may fail")
def alert(inputs: dict, context: AgentContext) -> dict:
    """A real one sends `context.idempotency_key` along, so that a repeated attempt notifies once."""
    evidence = inputs["evidence"]
    minutes = evidence["held"] / 60_000
    context.log(f"{inputs['component']}: potential failure, {minutes:g} minutes at {evidence['values']}")
    return {"notified": True}


@agent("rerouteAgent", description="Sends work to another machine")
def reroute(inputs: dict, context: AgentContext) -> dict:
    """A real one calls the production system, under the same key."""
    context.log(f"{inputs['component']}: production is rerouted")
    return {"rerouted": inputs["component"]}
