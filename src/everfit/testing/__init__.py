"""What users and contributors test with: the churn generator and the contract suites of the ports."""
