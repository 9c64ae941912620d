"""Who answers: the ledger folded to a state, routing, strategies and verdicts. Pure state transitions."""
