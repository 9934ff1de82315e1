"""`python -m onnxbound` and the console script."""

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        from onnxbound.cli.streams import open_streams

        open_streams()
        from onnxbound.cli.app import run

        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:  # before there was anything to stop
        sys.exit(130)


if __name__ == "__main__":
    main()
