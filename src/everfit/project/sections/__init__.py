"""The typed definition of everfit.yaml, a module a stage; every field's description is its documentation."""
