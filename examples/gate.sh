#!/usr/bin/env bash
# Fail a build whose net breaks a limit or has become worse: gate.sh BASELINE.json MODEL --data FILE ...
# The first run writes the baseline; commit it. Later runs fail if a limit is broken, or if an error, the gap or a bound on
# the error is larger than in the baseline by more than 5 % of its value: look at the change, and if it is wanted, replace
# the baseline by new.json. With --exit-code in place of --fail-if-worse, any change fails.
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
onnxbound diff "$baseline" new.json --tolerance 0.05 --fail-if-worse
