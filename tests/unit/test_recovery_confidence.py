"""What past cases are worth."""

from datetime import timedelta

import pytest

from m10actors.recovery.confidence import Cases, basic_rate, confidence, weight

NOW, A_MONTH_AGO = timedelta(0), timedelta(days=30)


@pytest.mark.parametrize(
    ("days", "expected"), [(0, 1.0), (30, 0.5), (60, 0.25), (15, 0.7071), (-5, 1.0), (365_000, 0.0)]
)
def test_the_weight_of_a_case_halves_every_thirty_days(days: int, expected: float) -> None:
    assert weight(timedelta(days=days)) == pytest.approx(expected, abs=1e-4)


def test_a_recent_failure_outweighs_an_old_success() -> None:
    cases = Cases.of("x", [(True, A_MONTH_AGO), (True, A_MONTH_AGO), (False, NOW)])
    assert basic_rate(cases) == pytest.approx(2 / 3)
    assert cases.weighted_rate == pytest.approx(1 / 2)
    assert confidence(cases) == pytest.approx(0.7 / 2 + 0.3 * 2 / 3)


def test_fewer_than_three_cases_are_no_history() -> None:
    assert confidence(Cases.of("x", [(True, NOW)] * 2)) is None
    assert confidence(Cases.of("x", [(True, NOW)] * 3)) == 1.0


def test_nothing_under_a_tenth_is_kept() -> None:
    assert confidence(Cases.of("x", [(True, NOW)] + [(False, NOW)] * 9)) == 0.1
    assert confidence(Cases.of("x", [(True, NOW)] + [(False, NOW)] * 10)) is None


def test_cases_too_old_to_weigh_anything_count_by_their_number() -> None:
    assert confidence(Cases.of("x", [(True, timedelta(days=365_000))] * 3)) == pytest.approx(0.3)


def test_more_cases_of_now_count_as_if_they_had_been_there() -> None:
    past = [(True, A_MONTH_AGO), (False, A_MONTH_AGO), (False, NOW)]
    assert Cases.of("x", past).weight == 2.0
    for helped in (True, False):
        assert Cases.of("x", past).and_more(helped, 2) == Cases.of("x", [*past, (helped, NOW), (helped, NOW)])
    assert Cases("x", 0, 0, 0.0, 0.0).and_more(True, 3) == Cases.of("x", [(True, NOW)] * 3)
