"""Compile: checkpoint -> ONNX -> engine."""
