"""`onnxbound env`."""

from onnxbound.cli.options import Debug, Json


def env(*, as_json: Json = False, debug: Debug = False) -> None:
    """Print versions, providers and device: a block to paste into an issue."""
    del debug
    from onnxbound.cli.output import emit, to_json
    from onnxbound.report.report import plain
    from onnxbound.run.environment import SCHEMA, describe

    found = plain(describe())
    if as_json:
        emit(to_json({"schema": SCHEMA, **found}), None, force=False)
        return
    lines = []
    for name, value in found.items():
        if isinstance(value, dict):
            lines += [f"{name}:", *(f"  {key} {entry}" for key, entry in value.items())]
        else:
            shown = (", ".join(map(str, value)) or "none") if isinstance(value, list) else value or "-"
            lines.append(f"{name}: {shown}")
    emit("\n".join(lines) + "\n", None, force=False)
