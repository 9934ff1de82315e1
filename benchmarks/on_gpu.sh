#!/usr/bin/env bash
# On a machine with a GPU: install, check, measure, and write benchmarks/cuda.md. Every part has a limit, eight minutes in
# all; one that fails is reported, and the others run all the same. A PyTorch that is there already is used. Without an
# index, set PIP_NO_INDEX and PIP_FIND_LINKS.
set -uo pipefail
cd "$(dirname "$0")/.."
device=${1:-cuda}
rows=${2:-32 128 512}
python=.venv-gpu/bin/python
failed=0

part() {
  local name=$1 limit=$2
  shift 2
  echo "== $name, $limit s at most" && SECONDS=0
  if timeout "$limit" "$@"; then echo "== $name: $SECONDS s"; else echo "== $name failed after $SECONDS s" && failed=1; fi
}

install() {
  python3 -m venv --system-site-packages .venv-gpu || return
  "$python" -c "import torch" 2> /dev/null || "$python" -m pip install -q torch || return
  "$python" -m pip install -q -e "${ONNXBOUND_INSTALL:-.[cuda]}" pytest hypothesis
}
export -f install
export python

part install 120 bash -c install
part check 90 "$python" -m pytest -q tests/run/test_cuda.py
# shellcheck disable=SC2086 - one argument per batch size
part measure 180 "$python" -m benchmarks.cuda --device "$device" --rows $rows
part compile 90 "$python" -m benchmarks.cuda --device "$device" --rows 128 --repeats 3 --compile --output /dev/stdout
exit $failed
