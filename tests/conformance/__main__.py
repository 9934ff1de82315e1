"""Write the list of cases: `python -m tests.conformance`."""

from tests.conformance.cases import run_all
from tests.conformance.listing import LIST, listing

if __name__ == "__main__":
    text = listing(run_all())
    LIST.write_text(text)
    print(text)  # noqa: T201
