"""INT8: which images, which ranges, where Q/DQ goes."""
