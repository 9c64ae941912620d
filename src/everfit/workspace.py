"""An opened project with the verbs of the command line, for notebooks and tests."""
