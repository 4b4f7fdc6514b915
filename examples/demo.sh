#!/usr/bin/env bash
# The whole way on the corpus in examples/: prepare, look, train two stages on two processes, evaluate, export, try.
set -euo pipefail
cd "$(dirname "$0")/.."
step() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
run() { printf '$ %s\n' "$*"; "$@"; }

begun=$SECONDS
rm -rf runs/demo
step "1. Prepare: text -> words, phrases, entities -> token shards"
run kmask prepare configs/data/demo.yaml
step "2. Look at one masked batch"
run kmask show batch configs/pretrain/demo.yaml --number 500 --html runs/demo/batch.html
step "3. Pretrain: two stages on two DeepSpeed processes; the second stage adds a task"
run kmask train configs/pretrain/demo.yaml
step "4. Evaluate on held-out documents"
run kmask eval configs/pretrain/demo.yaml
step "5. Export to Hugging Face format, with a check that the logits are the same"
run kmask export runs/demo/run runs/demo/model
step "6. Try it with plain transformers"
run python examples/fill_mask.py runs/demo/model runs/demo/data

cat <<EOF

Done in $((SECONDS - begun)) s. Look at runs/demo/batch.html in a browser, and at runs/demo/model.

On your own corpus:
  kmask init zh my            # or: en, continue   (writes my/data.yaml and my/pretrain.yaml)
  kmask prepare my/data.yaml
  kmask show batch my/pretrain.yaml
  kmask train my/pretrain.yaml
  kmask export runs/my/run runs/my/model
EOF
