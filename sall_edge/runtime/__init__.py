"""Engine -> predictions."""
