"""Chat endpoints that take messages and no tokens, such as OpenAI's, as a backend.

They give texts, and some of them log-probabilities of the tokens that they wrote. What a method reads beyond that would
take prompts or tokens that no message can hold, and is missing.
"""
