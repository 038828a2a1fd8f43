"""Speeds, CPU and memory of the real stack, in ratios to the bare compile; see docs/performance.md."""
