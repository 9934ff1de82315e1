"""The optional packages of pages and figures."""

from importlib.util import find_spec

from onnxbound.errors import Problem, UsageError, extra_hint

_PACKAGES = ("matplotlib", "jinja2")


def require_extra() -> None:
    """Complain where pages and figures cannot be made.

    Raises:
        UsageError: A package of the extra report is not installed.
    """
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        problems = [Problem(name, "it is not installed", extra_hint("report")) for name in missing]
        raise UsageError("usage", "Pages and figures need the extra report.", problems)
