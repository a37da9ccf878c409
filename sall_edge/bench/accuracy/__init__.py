"""How right an engine is, next to its FP32 graph."""
