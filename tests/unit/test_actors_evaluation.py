"""How a batch is sorted before anything is decided: what is due, what is done, what cannot be seen yet."""

from m10actors.evaluation import Work, _sort
from m10actors.postgres.inputs import Input


def row(candidate_id: int, generation: int, evaluated: int) -> dict[int, Input]:
    """Sorting looks at nothing but the generations."""
    return {candidate_id: Input((candidate_id, generation, evaluated), lambda _: ())}


def test_a_batch_of_everything_is_sorted_each_by_itself() -> None:
    inputs = row(1, 3, 2) | row(2, 3, 3) | row(3, 3, 1) | row(5, 3, 2)
    due, evaluated, superseded = Work(1, 3), Work(2, 3), Work(3, 2)
    no_row, forged, foreign = Work(4, 1), Work(5, 9), Work(1, None)
    result = _sort([due, evaluated, superseded, no_row, forged, foreign], inputs)
    assert [work for work, _ in result.due] == [due]
    assert result.done == [evaluated, superseded, foreign]
    assert result.unseen == [no_row, forged]


def test_a_foreign_entry_means_the_generation_that_is_due() -> None:
    result = _sort([Work(1, None)], row(1, 3, 2))
    assert [work for work, _ in result.due] == [Work(1, 3)]


def test_a_foreign_entry_is_done_where_nothing_is_due() -> None:
    result = _sort([Work(1, None)], row(1, 3, 3))
    assert result.done == [Work(1, None)]


def test_of_several_for_one_candidate_the_first_that_is_due_is_evaluated_and_no_other() -> None:
    works = [Work(1, 2), Work(1, 3, attempts=1), Work(1, 3, work_id=7), Work(1, None)]
    result = _sort(works, row(1, 3, 2))
    assert [work for work, _ in result.due] == [works[1]]
    assert result.done == [works[0], works[2], works[3]]


def test_without_a_row_nothing_is_done() -> None:
    works = [Work(1, 1), Work(1, None)]
    assert _sort(works, {}).unseen == works
