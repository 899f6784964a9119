"""Benchmarks: what an issue asks to be fast, as ratios measured in one run. Run them as modules from the root."""

__all__: list[str] = []
