#!/usr/bin/env bash
# The whole way on a small world of facts: prepare, look, train four stages on two processes, see what the model knows.
set -euo pipefail
cd "$(dirname "$0")/.."
step() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
run() { printf '$ %s\n' "$*"; "$@"; }

begun=$SECONDS
rm -rf runs/demo
step "1. Write the corpus: facts about 73 countries in Chinese and English, some wordings of each held out"
run python examples/world.py runs/demo/world
step "2. Prepare: text -> words, phrases, entities -> token shards"
run kmask prepare configs/data/world.yaml
step "3. Look at one masked batch: entities are hidden as wholes"
run kmask show batch configs/pretrain/world.yaml --number 100 --html runs/demo/batch.html > runs/demo/batch.txt
head -24 runs/demo/batch.txt
step "4. Pretrain: four stages on two DeepSpeed processes; each adds a task and keeps those before"
run kmask train configs/pretrain/world.yaml
step "5. What came of it: every task at the end of every stage, on held-out documents"
run kmask report runs/demo/run --html runs/demo/report.html
step "6. One task: can it be answered without reading, and what did the run reach?"
run kmask show task discourse_relation configs/pretrain/world.yaml
step "7. Export to Hugging Face format, with a check that the logits are the same"
run kmask export runs/demo/run runs/demo/model
step "8. What it knows: entities hidden in sentences that it never read, with plain transformers"
run python examples/fill_mask.py runs/demo/model runs/demo/data CITY RIVER LANGUAGE CURRENCY CONTINENT

cat <<EOF

Done in $((SECONDS - begun)) s. Look at runs/demo/batch.html and report.html in a browser, and at runs/demo/model.

On your own corpus:
  kmask init zh my            # or: en, continue   (writes my/data.yaml and my/pretrain.yaml)
  kmask prepare my/data.yaml
  kmask show batch my/pretrain.yaml
  kmask train my/pretrain.yaml
  kmask export runs/my/run runs/my/model
EOF
