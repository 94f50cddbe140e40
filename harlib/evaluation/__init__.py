"""From a trained model to scores, metrics and figures."""
