#!/usr/bin/env bash
# The layers of a net, the most compressible first: pipeline.sh MODEL --data FILE ...
set -euo pipefail
onnxbound analyze "$@" --json --quiet |
  jq -r '.layers | map(select(.compression_percent != null)) | sort_by(.compression_percent)[]
         | "\(.name)\t\(.parameters) weights\t\(.compression_percent * 10 | round / 10) %"'
