"""What everfit measures about itself: `python -m benchmarks.NAME [--quick]`."""
