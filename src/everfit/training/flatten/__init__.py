"""From a library's fitted estimator to flat arrays: a module a library, one entry for each kind of estimator."""
