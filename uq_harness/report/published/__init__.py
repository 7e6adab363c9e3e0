"""Results that others published, to put next to your own, and configurations that repeat their runs.

>>> from uq_harness.report.published.tables import paper_table
>>> table = paper_table(1)
>>> semgrad = next(row for row in table.rows if row.method == "semgrad")
>>> table.columns[0].model, table.columns[0].task, semgrad.values[0]
('Qwen/Qwen3-4B-Instruct-2507', 'uq_sciq', 72.2)
"""
