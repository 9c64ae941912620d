"""The steps of the training pipeline, in the order in which a row meets them: table, features, model, assessment,
bundle. Each is a plain function; what its parameters are called is what it is given."""
