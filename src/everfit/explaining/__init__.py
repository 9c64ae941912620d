"""Contributions of features to one output: Shapley values, exact where the model's form allows it."""
