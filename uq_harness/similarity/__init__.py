"""Auxiliary models that compare texts: natural language inference (NLI) and similarity.

Two services score pairs of texts, each distinct pair once as long as it is remembered, in batches of similar length:

- `build_nli` makes an `NLI`, whose ``probabilities(pairs)`` are entailment, neutral and contradiction.
- `build_similarity` makes a `Similarity`, whose ``scores(pairs)`` are in [0, 1].

Both have ``prepare()`` (loads the model, or says at once why it cannot), ``describe()`` and the counters
``pairs_scored`` and ``pairs_cut``. The model named ``lexical`` compares words and needs no model at all.

What a question needs compared is a request: `AllPairs`, `AgainstAnswer`, `LikeAnswer`, `TokenRemovals`. `entailment`
and `similarities` take the requests of a whole batch of questions, one mapping from any key to a request for each
question, score all their pairs in one call, and give back the same mappings with arrays in place of the requests:

>>> from uq_harness.similarity.build import build_nli
>>> from uq_harness.similarity.requests import AllPairs, entailment
>>> nli = build_nli("lexical")
>>> need = "entailment between the samples"
>>> batch = [{need: AllPairs("Who wrote it?", ("Austen", "austen.", "Eliot"))}, {need: AllPairs("Who?", ("me",))}]
>>> found = entailment(nli, batch)
>>> found[0][need].shape, found[1][need].shape
((3, 3, 3), (1, 1, 3))
>>> found[0][need][..., 0]
array([[1., 1., 0.], [1., 1., 0.], [0., 0., 1.]])

`Comparer` does so for the needs and the evidence of `uq_harness.evidence`.
"""
