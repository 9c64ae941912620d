"""Whether to train again: a pure decision with its reasons."""
