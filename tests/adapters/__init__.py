"""Each adapter passes the contract of its port."""
