"""What a table is and whether it may be used: schema, checks, split, fingerprint, masking."""
