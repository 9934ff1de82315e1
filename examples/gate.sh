#!/usr/bin/env bash
# Fail a build whose net has become worse, or breaks a limit: gate.sh BASELINE.json MODEL --data FILE ... [--fail-if ...]
# The first run writes the baseline; commit it. Later runs fail if an error or a bound on the error is larger than
# in the baseline by more than 5 % of its value, or if a condition of --fail-if holds, which you may add. The new report is
# BASELINE.new.json: if a change is wanted, replace the baseline by it. With --exit-code in place of --fail-if-worse, any
# change fails.
set -euo pipefail
baseline=$1
new=${baseline%.json}.new.json
shift
onnxbound analyze "$@" --json --quiet --output "$new" --force
if [[ ! -e $baseline ]]; then
  cp "$new" "$baseline"
  echo "gate.sh: there was no $baseline: this report is stored there, and was compared with nothing; commit it" >&2
  exit 0
fi
onnxbound diff "$baseline" "$new" --tolerance 0.05 --fail-if-worse
