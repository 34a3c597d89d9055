"""A state machine: restart intensity against a list of all restarts."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from m10actors.supervision.intensity import add_restart


class Intensity(RuleBasedStateMachine):
    """Restarts at any times; a supervisor forgets none too early and none too late."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.all, self.kept = 0.0, list[float](), ()

    @initialize(intensity=st.integers(0, 4), period=st.floats(0.5, 20))
    def choose(self, intensity: int, period: float) -> None:
        self.intensity, self.period = intensity, period

    @rule(seconds=st.floats(0, 30))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def a_child_is_restarted(self) -> None:
        self.all.append(self.now)
        self.kept, exceeded = add_restart(self.kept, self.now, self.intensity, self.period)
        within = [at for at in self.all if self.now - at <= self.period]
        assert list(self.kept) == within
        assert exceeded == (len(within) > self.intensity)


TestIntensity = Intensity.TestCase
TestIntensity.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
