"""`onnxbound env`."""

from onnxbound.cli.options import Debug, Json


def env(*, as_json: Json = False, debug: Debug = False) -> None:
    """Print versions, providers and device: a block to paste into an issue."""
    del debug
    from onnxbound.cli.output import emit
    from onnxbound.documents.document import to_json_text
    from onnxbound.run.environment import describe

    found = describe().to_json()
    if as_json:
        emit(to_json_text(found), None, force=False)
        return
    lines = []
    del found["schema"]
    for name, value in found.items():
        if isinstance(value, dict):
            lines += [f"{name}:", *(f"  {key} {entry}" for key, entry in value.items())]
        else:
            shown = (", ".join(map(str, value)) or "none") if isinstance(value, list) else value or "-"
            lines.append(f"{name}: {shown}")
    emit("\n".join(lines) + "\n", None, force=False)
