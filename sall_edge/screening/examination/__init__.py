"""A person, two eyes, their photographs, and what follows from them."""
