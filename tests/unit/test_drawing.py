"""What Hypothesis draws is the same in each run, so that a run that passes for one passes for all."""

from hypothesis.internal.conjecture.providers import HypothesisProvider


def test_no_constant_of_a_loaded_module_is_drawn() -> None:
    constants = HypothesisProvider(None)._local_constants  # noqa: SLF001  # what its draws are taken from
    assert not (constants.strings)
    assert not (constants.integers)
    assert not (constants.floats)
    assert not (constants.bytes)
