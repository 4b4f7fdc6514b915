#!/usr/bin/env bash
# What only a GPU can show, in pieces of at most nine minutes; each may be run again and goes on where it stopped.
#
#   benchmarks/gpu.sh wheels        on a machine with a package index: builds wheels of what the GPU's image lacks into
#                                   runs/wheels (deepspeed needs no compiler: pip wheel --no-deps, DS_BUILD_OPS=0)
#   benchmarks/gpu.sh data          on a machine with ../shared/data: prepares runs/bench/train (carry it, or prepare there)
#   benchmarks/gpu.sh setup         on the GPU: installs the wheels beside the torch and transformers that are there
#   benchmarks/gpu.sh tests         tests/gpu
#   benchmarks/gpu.sh table         benchmarks/bench_gpu.py: base and large, each technique switched off, Trainer beside
#   benchmarks/gpu.sh base          up to 8 minutes of a base pretraining (run it three times: 20 minutes), then its report
#
# KMASK_PIECE: seconds of a piece (default 520). PYTHON: the interpreter (default python3).
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
PIECE=${KMASK_PIECE:-520}
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"

wheels() {
  mkdir -p runs/wheels
  DS_BUILD_OPS=0 "$PYTHON" -m pip wheel --no-deps --constraint constraints.txt --wheel-dir runs/wheels deepspeed
  "$PYTHON" - <<'LIST' > runs/wheels/names.txt
import re, tomllib
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
skip = {"torch", "transformers", "deepspeed"}
print("\n".join(name for line in project["dependencies"] if (name := re.split(r"[<>=\[; ]", line)[0]) not in skip))
print("pytest\nhypothesis\npytest-xdist\nhjson\npy-cpuinfo\nmsgpack\neinops\nninja")
LIST
  "$PYTHON" -m pip wheel --constraint constraints.txt --wheel-dir runs/wheels --requirement runs/wheels/names.txt
}

data() { "$PYTHON" -m launch.cli prepare benchmarks/training/corpus.yaml; }

setup() {
  "$PYTHON" -m pip install --no-index --no-deps runs/wheels/*.whl
  "$PYTHON" -m launch.cli doctor
}

tests() { timeout "$PIECE" "$PYTHON" -m pytest tests/gpu -q; }

table() { timeout "$PIECE" "$PYTHON" benchmarks/bench_gpu.py || { code=$?; [ "$code" = 124 ] && echo "not all rows yet: run it again"; return "$code"; }; }

base() {
  code=0
  timeout --signal=TERM --kill-after=60 "$((PIECE - 60))" "$PYTHON" -m launch.cli train benchmarks/training/base.yaml || code=$?
  "$PYTHON" -m launch.cli report runs/bench/base --html runs/bench/base.html
  return "$code"
}

case "${1:-}" in
  wheels | data | setup | tests | table | base) "$1" ;;
  *) sed -n '2,12p' "$0"; exit 2 ;;
esac
