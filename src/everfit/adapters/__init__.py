"""One file per outside technology, each for one port; only wiring imports them."""
