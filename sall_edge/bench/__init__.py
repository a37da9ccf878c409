"""Latency and accuracy of an engine, measured."""
