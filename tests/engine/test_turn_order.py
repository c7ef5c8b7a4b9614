from perdure.engine.messages import AgentCompleted, Settled
from perdure.engine.turn_order import TurnOrder


def done(call: int) -> AgentCompleted:
    return AgentCompleted(call, None)


def handed_on(turns: TurnOrder) -> list[int]:
    return [event.call for event in iter(turns.next, None)]


def test_answers_are_handed_on_in_the_order_of_their_turns() -> None:
    turns = TurnOrder()
    turns.expect(1, Settled(1), turns=3)
    turns.expect(2, done(2))
    turns.expect(3, done(3), turns=2)
    assert handed_on(turns) == [2, 3, 1]


def test_what_begins_in_a_turn_goes_before_what_only_passes_through_it_later() -> None:
    turns = TurnOrder()
    turns.expect(1, Settled(1), turns=2)
    turns.expect(2, done(2))
    turns.expect(3, Settled(3), turns=2)
    assert turns.next() == done(2)
    turns.expect(4, done(4))
    assert handed_on(turns) == [1, 4, 3]


def test_what_is_not_there_yet_holds_up_the_turn_but_not_what_has_none() -> None:
    turns = TurnOrder()
    turns.expect(1)
    turns.expect(2, done(2))
    turns.arrive(done(9))
    assert handed_on(turns) == [9]
    turns.arrive(done(1))
    assert handed_on(turns) == [1, 2]


def test_what_is_dropped_is_passed_over() -> None:
    turns = TurnOrder()
    turns.expect(1)
    turns.expect(2, done(2))
    turns.drop(1)
    assert handed_on(turns) == [2]


def test_what_is_dropped_after_it_has_arrived_is_handed_on_all_the_same() -> None:
    turns = TurnOrder()
    turns.expect(1)
    turns.arrive(done(1))
    turns.drop(1)
    assert handed_on(turns) == [1]


def test_a_call_that_is_expected_already_keeps_its_turn() -> None:
    turns = TurnOrder()
    turns.resume([[1, 0, None], [2, 0, ["settled"]]])
    turns.expect(1)
    turns.expect(3, done(3))
    turns.expect(1, done(1))
    assert handed_on(turns) == [1, 2, 3]
