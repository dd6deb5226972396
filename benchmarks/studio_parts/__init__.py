"""What `benchmarks/studio.py` measures, one thing a file."""
