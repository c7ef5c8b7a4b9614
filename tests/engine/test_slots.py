from perdure.engine.slots import Slots


def names(slots: Slots) -> list[str]:
    """What may start now, in order."""
    return [ticket.node for ticket in iter(slots.pop, None)]


def queue(slots: Slots, *nodes: str, run: int = 1, priority: float = 0, label: str | None = None) -> Slots:
    for node in nodes:
        slots.push(run, node, priority, label)
    return slots


def test_as_many_start_as_there_are_slots() -> None:
    slots = queue(Slots(2), "a", "b", "c")
    assert names(slots) == ["a", "b"]
    assert slots.is_crowded
    slots.release(None)
    assert names(slots) == ["c"]


def test_a_higher_priority_goes_first_and_equal_ones_in_order_of_arrival() -> None:
    slots = queue(queue(queue(Slots(9), "a", "b"), "c", priority=1), "d", "e", priority=-0.5)
    queue(slots, "f", priority=1)
    assert names(slots) == ["c", "f", "a", "b", "d", "e"]


def test_a_label_that_is_full_lets_others_pass() -> None:
    slots = Slots(9, {"gpu": 1})
    queue(queue(queue(slots, "a", "b", label="gpu"), "c"), "d", label="free")
    assert names(slots) == ["a", "c", "d"]
    slots.release("free")
    assert names(slots) == []
    slots.release("gpu")
    assert names(slots) == ["b"]


def test_priority_decides_between_labels_too() -> None:
    slots = Slots(9, {"gpu": 1, "net": 1})
    queue(slots, "a", label="gpu")
    queue(slots, "b", "c", label="net", priority=1)
    queue(slots, "d", priority=2)
    assert names(slots) == ["d", "b", "a"]


def test_nodes_inside_a_graph_of_a_full_label_pass_its_limit_and_siblings_do_not() -> None:
    slots = Slots(9, {"gpu": 1})
    queue(slots, "outer", "sibling", label="gpu")
    assert names(slots) == ["outer"]
    slots.open_nested(1, "gpu")
    queue(slots, "inner", "inner2", run=2, label="gpu")
    assert names(slots) == ["inner"]
    slots.release("gpu")
    assert names(slots) == ["inner2"]
    slots.release("gpu")
    slots.close_nested(1, "gpu")
    slots.release("gpu")
    assert names(slots) == ["sibling"]
    assert slots.nesting == {}


def test_two_open_graphs_of_one_label_give_two_passes() -> None:
    slots = Slots(9, {"gpu": 2})
    queue(slots, "a", "b", label="gpu")
    assert names(slots) == ["a", "b"]
    slots.open_nested(1, "gpu")
    slots.open_nested(1, "gpu")
    assert names(queue(slots, "x", "y", "z", run=2, label="gpu")) == ["x", "y"]
    slots.close_nested(1, "gpu")
    assert slots.nesting == {"gpu": {1: 1}}


def test_a_graph_inside_adds_a_slot_for_as_long_as_it_is_open() -> None:
    slots = queue(Slots(1), "a", "b")
    assert names(slots) == ["a"]
    slots.open_nested(1, None)
    assert names(slots) == ["b"]
    slots.close_nested(1, None)
    assert slots.concurrency == 1


def test_a_node_is_taken_at_once_where_nothing_waits() -> None:
    slots = Slots(2, {"gpu": 1})
    assert slots.take_at_once(None)
    assert not slots.take_at_once("gpu"), "a limited label has to queue"
    assert slots.take_at_once("free")
    assert slots.running_by_label == {"free": 1}
    assert not slots.take_at_once(None), "no slot is left"
    slots.release("free")
    queue(slots, "a")
    assert not slots.take_at_once(None), "another one waits"


def test_graphs_that_are_abandoned_leave_the_queue() -> None:
    slots = queue(queue(Slots(9, {"gpu": 1}), "a", "b", run=1), "c", "d", run=2, label="gpu")
    queue(slots, "e", run=3, priority=1)
    slots.drop({1, 3})
    assert [(ticket.run, ticket.node) for ticket in slots.tickets()] == [(2, "c"), (2, "d")]
    assert names(slots) == ["c"]


def test_nodes_that_ran_before_hold_their_slots_again() -> None:
    slots = Slots(3, {"gpu": 2})
    slots.hold(1, "gpu", nested=True)
    slots.hold(2, None, nested=False)
    assert (slots.running, slots.concurrency, slots.running_by_label) == (2, 4, {"gpu": 1})
    assert slots.nesting == {"gpu": {1: 1}}
