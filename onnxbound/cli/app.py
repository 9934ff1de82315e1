"""The command line: verbs, and how every failure reaches the user."""

import errno
import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any

import typer

from onnxbound.cli import output, signals
from onnxbound.cli.analyze import analyze
from onnxbound.cli.certify import certify
from onnxbound.cli.compress import compress
from onnxbound.cli.decompress import decompress
from onnxbound.cli.diff import diff
from onnxbound.cli.env import env
from onnxbound.cli.experiments import compare, noise, rank, track
from onnxbound.cli.explain import explain
from onnxbound.cli.flags import FLAGS, changed, in_flags, with_flags
from onnxbound.cli.grouped import Verb, Verbs
from onnxbound.cli.inspect import inspect
from onnxbound.cli.report import report
from onnxbound.cli.verify import verify
from onnxbound.errors import DataError, InterruptionError, OnnxboundError, OutputError, Problem, UsageError, visible
from onnxbound.version import __version__

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

app = typer.Typer(
    name="onnxbound",
    cls=Verbs,
    help="How far can a trained ONNX classifier be trusted to generalise, and how far can it be compressed?",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"onnxbound {__version__}")  # noqa: T201
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


for _verb in (
    inspect, analyze, certify, verify, noise, compare, track, rank, report, diff, compress, decompress, explain, env,
):  # fmt: skip
    app.command(cls=Verb)(_verb)


def run(arguments: list[str]) -> int:
    """Run the command line; no traceback reaches the user unless --debug is among the arguments.

    Returns:
        The exit code: 0 done, 1 a gate is not met, 2 usage, 3 model, 4 data, 5 device, 6 output, 70 internal, 130
        interrupted.
    """
    arguments = arguments or ["--help"]
    output.printed = False
    try:
        code = app(arguments, standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough
        return 0
    except KeyboardInterrupt:
        code = InterruptionError.exit_code
    except Exception as error:  # whatever happened, the user gets a message and a code
        if "--debug" in arguments:
            raise
        interrupted = signals.received and not isinstance(error, OutputError)  # a library made another error of it
        return _fail(InterruptionError() if interrupted else _told(error), arguments)
    if code == InterruptionError.exit_code:  # caught here or by the option parser
        return _fail(InterruptionError(), arguments)
    return code if isinstance(code, int) else 0


def _told(error: Exception) -> OnnxboundError:
    """Turn an error into one for the user."""
    if isinstance(error, OnnxboundError):
        return error
    if hasattr(error, "format_message"):  # of the option parser
        return UsageError("usage", error.format_message())
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        import tempfile

        problem = Problem(tempfile.gettempdir(), str(error), "free space there, or set TMPDIR to another folder")
        return OutputError("output-unwritable", f"There is no room: {error.strerror}.", [problem])
    message = f"{type(error).__name__}: {error}. This is a fault of onnxbound; --debug shows where it happened."
    return OnnxboundError("internal", message)


def _fail(error: OnnxboundError, arguments: list[str]) -> int:
    """Say what went wrong: on stderr for people, and as an object on stdout for --json."""
    as_json = "--json" in arguments or "--format=json" in arguments or "--format json" in " ".join(arguments)
    command = _better(arguments, error.suggestion) if isinstance(error, DataError) else None
    message, problems = changed((error.message, error.problems), in_flags)
    lines = [f"onnxbound: error: {message}"]
    for problem in problems:
        lines += [f"  {problem.where}: {problem.why}", f"    -> {problem.do}"]
    if command is not None:
        lines += ["  a complete command; check the options that it adds:", f"    {command}"]
    lines.append(f"  (onnxbound explain {error.code})")
    print("\n".join(visible(line) for line in lines), file=sys.stderr)  # noqa: T201
    if as_json and not output.printed:
        from onnxbound.cli.documents import Failure

        failure = Failure(error.code, error.exit_code, message, problems, command)
        with suppress(OSError, OnnxboundError):  # stdout may be what failed
            print(json.dumps(failure.to_json()), flush=True)  # noqa: T201
    return error.exit_code


def _better(arguments: list[str], suggestion: Mapping[str, object]) -> str | None:
    """The command with options under which the data would fit, if the verb has these options."""
    root: Any = typer.main.get_command(app)
    options = {option for parameter in root.commands[arguments[0]].params for option in parameter.opts}
    fits = suggestion and {FLAGS[name] for name in suggestion} <= options
    return with_flags(arguments, suggestion) if fits else None
