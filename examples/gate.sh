#!/usr/bin/env bash
# Fail a build whose net breaks a limit or has changed: gate.sh BASELINE.json MODEL --data FILE ...
# The first run writes the baseline; commit it. Later runs fail if a limit is broken, or if a number of the report has
# changed by more than 5 %, for the better or the worse: look at the change, and if it is wanted, replace the baseline by
# new.json.
# The three limits behind --fail-if are examples: write your own.
set -euo pipefail
baseline=$1
shift
onnxbound analyze "$@" --json --quiet --output new.json --force \
  --fail-if "data.train_error > 0.1" --fail-if "arora > 1e12" --fail-if "min(layers.layer_cushion.min) < 0.001"
if [[ ! -e $baseline ]]; then
  cp new.json "$baseline"
  echo "gate.sh: there was no $baseline: this report is stored there, and was compared with nothing; commit it" >&2
  exit 0
fi
onnxbound diff "$baseline" new.json --tolerance 0.05 --exit-code
