"""What makes a test the same in every run, whichever tests ran before it; `nox -s fuzz` draws property tests anew."""

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("seeded", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("random", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("seeded")

for word in ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "PYTHONWARNINGS"):  # of whoever runs the tests
    os.environ.pop(word, None)

STATES: dict[str, object] = {}


@pytest.fixture(autouse=True)
def _generators_start_anew(request: pytest.FixtureRequest) -> None:
    """A module's generators go on, in every test, from where its import left them."""
    for name, value in vars(request.module).items():
        if isinstance(value, np.random.Generator):
            state = STATES.setdefault(f"{request.module.__name__}.{name}", value.bit_generator.state)
            value.bit_generator.state = state
