"""Files of labelled examples as they stand on disk: lines, tables, JSON, tagged words; plain or gzipped."""
