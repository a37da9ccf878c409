"""The photograph: where the retina is, the prepared square, its labels, and phantoms."""
