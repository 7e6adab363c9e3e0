"""AURC as a module of Hugging Face `evaluate`."""
