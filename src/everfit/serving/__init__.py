"""Answering: the protocol-free predictor, the HTTP app around it, the prediction log, the metrics."""
