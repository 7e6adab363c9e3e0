"""The paper's ablations from one generation pass: all variants of SemGrad and HybridGrad from the same evidence.

`passes` runs the pass through lm_eval, `analyse` scores and compares; `AblationEvidence` is what the first passes on,
and can be written and read, so that scoring again needs no model.
"""
