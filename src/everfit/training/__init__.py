"""From a matrix to a fitted model: families, search, fit and the estimator's files in the bundle."""
