"""The evidence engine: decodes answers and takes gradients and teacher-forced scores, a batch of questions at a time.

Tensors go in and come out; lm_eval is unknown here. `TransformersBackend` is the way in.
"""
