"""Reading what lm_eval wrote: results and samples become runs of plain arrays.

A call of ``lm_eval --output_path DIR --log_samples`` leaves ``results_<date>.json`` and, next to it, one
``samples_<task>_<date>.jsonl`` a task. Whatever else writes such files can be read, compared and reported in the same
way if it writes these fields:

- In a line of samples: ``doc.question``, ``doc.answers``, ``filter`` (the judge's name), ``prompt_hash`` (optional),
  and ``doc.uq`` with ``answer``, ``correct`` (0 or 1; a line without it counts as not judged), ``correctness``,
  ``uncertainty`` (method → number or null), ``answer_tokens`` (optional), ``cost`` (stage → number, optional). Several
  judges are in one file, all answers of one after all of another.
- In the results: ``results.<task>`` (``<metric>,<judge>`` → number; may be empty), ``configs.<task>`` with
  ``metadata.judges``, ``versions.<task>``, ``model_name``, ``date`` (seconds since 1970), ``config`` (optional).

>>> from uq_harness.results.load import load_runs
"""
