"""`python -m onnxbound` and the console script."""

import sys

from onnxbound.cli.signals import heed_signals


def main() -> None:
    """Run the command line and exit with its code; who ends the process or closes the terminal interrupts it."""
    heed_signals()
    try:
        from onnxbound.run.allocator import keep_freed_memory

        keep_freed_memory()
        from onnxbound.cli.streams import open_streams

        open_streams()
        from onnxbound.cli.app import run

        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:  # before there was anything to stop
        print("onnxbound: error: Interrupted; nothing was written.", file=sys.stderr or sys.stdout)
        sys.exit(130)


if __name__ == "__main__":
    main()
