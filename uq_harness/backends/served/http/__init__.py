"""Engines behind HTTP: a `ServerEngine` sends token requests in the words of a `Dialect`, and keeps the replies.

A dialect is one file: where a server takes requests, and what bodies and replies look like. `ServerEngine`, the probes
and the journal are the same for all.
"""
