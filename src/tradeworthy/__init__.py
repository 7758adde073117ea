"""Take a trained model to a live market and keep it worthy of trading there."""
