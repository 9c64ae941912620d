"""From raw columns to a matrix: the user's feature functions and the fitted encoder, the same offline and online."""
