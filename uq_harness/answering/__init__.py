"""From prompt texts to answers with their evidence: the way that ``uq-hf`` and `UncertaintyModel` share.

Making prompts, finding the semantic-preserving token, ending answers and going on after running out of memory live
here; lm_eval's requests and caches stay in `uq_harness.models`.
"""
