"""How good a model is and whether it may be registered: metrics, importance, pictures, gates, card."""
