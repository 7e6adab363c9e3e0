"""Which method can be had from which engine: what ``uq-harness engines`` shows.

`known` says once what each engine gives. `table` asks the engines' own backends what is missing for every method.
"""
