"""The project folder and a run of eight steps in two stages, for tests that write it as YAML."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

TINY_RUN = """\
output: {output}
data: [{{path: {data}, name: demo}}]
model: {{layers: 1, hidden: 32, heads: 2, max_positions: 64, dropout: 0.1}}
masking: {{strategy: {{kind: whole_unit}}}}
tasks:
  knowledge_masking: {{kind: knowledge_masking}}
  span_boundary: {{kind: span_boundary, position_size: 8}}
  sentence_reordering: {{kind: sentence_reordering, segments: 3}}
stages:
  - {{name: one, steps: 4, tasks: {{knowledge_masking: 1, span_boundary: 0}}}}
  - {{name: two, steps: 4, tasks: {{knowledge_masking: 1, span_boundary: 0, sentence_reordering: 1}}}}
batch: {{max_sample_tokens: 64, row_tokens: 256, rows_per_step: 4, rows_per_process: 1}}
optimization: {{lr: 1.0e-3, warmup: 2}}
engine: {{zero_stage: 1, precision: fp32}}
evaluation: {{every: 4, rows: 2}}
checkpoints: {{every: 2, keep: 2}}
tracking: {{every: 1, sinks: []}}
"""
