"""Predictions -> care."""
