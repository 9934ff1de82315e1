"""Two commands per verb, for its help."""

EXAMPLES = {
    "inspect": ("onnxbound inspect model.onnx", "onnxbound inspect model.onnx --json -o model.json"),
    "analyze": (
        "onnxbound analyze model.onnx --data train.npz --test test.npz",
        "onnxbound analyze model.onnx --data train.npz --scale 1/255 -o report.html",
    ),
    "certify": (
        "onnxbound certify model.onnx --data train.npz -o certificate",
        "onnxbound certify model.onnx --holdout test.npz -o certificate",
    ),
    "verify": (
        "onnxbound verify certificate --data train.npz",
        "onnxbound verify certificate --model model.onnx --holdout test.npz",
    ),
    "noise": (
        "onnxbound noise model.onnx --data train.npz",
        "onnxbound noise model.onnx --data train.npz --noise gaussian:0.2 --plots figures",
    ),
    "compare": (
        "onnxbound compare one.onnx other.onnx --data train.npz",
        "onnxbound compare one.onnx:one.toml other.onnx:other.toml --data train.npz --plots figures",
    ),
    "track": (
        "onnxbound track epoch1.onnx epoch9.onnx --data train.npz --test test.npz",
        "onnxbound track epoch1.onnx epoch9.onnx --data train.npz --test test.npz --json -o track.json",
    ),
    "rank": (
        "onnxbound rank one.onnx other.onnx third.onnx --data train.npz --test test.npz",
        "onnxbound rank one.onnx other.onnx --data train.npz --test test.npz --labels-for 2=shuffled.npy",
    ),
    "report": (
        "onnxbound report report.json -o report.html --plots figures",
        "onnxbound report report.json --format table",
    ),
    "diff": ("onnxbound diff before.json after.json", "onnxbound diff before.json after.json --exit-code"),
    "compress": (
        "onnxbound compress model.onnx --data train.npz --test test.npz -o small.onnx",
        "onnxbound compress model.onnx --data train.npz --test test.npz --max-drop 2% -o small.onnx",
    ),
    "decompress": (
        "onnxbound decompress codes -o model.onnx",
        "onnxbound decompress codes -o model.onnx --force",
    ),
    "explain": ("onnxbound explain layer_cushion", "onnxbound explain onnxbound.report/1"),
    "env": ("onnxbound env", "onnxbound env --json"),
}
