"""Saved answers as a backend: reads a file, and gives the evidence that is in it.

No model answers here. What is missing in a file is said, method by method.
"""
