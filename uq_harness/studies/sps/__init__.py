"""The Semantic Preservation Score of a model's hidden states: which layer and token keep a question's meaning.

`measure` is the way in; `SpsResult` is what it finds, and reads and writes result files.
"""
