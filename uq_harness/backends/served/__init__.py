"""Engines that answer requests, such as vLLM in process or behind HTTP, as backends: needs become requests.

An engine goes on from tokens, or reads given ones, and tells log-probabilities. What only the model's weights give,
gradients and hidden states, is added afterwards by ``uq-harness score --model``.
"""
