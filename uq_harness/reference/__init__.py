"""Results that others published, to put beside your own, and configurations that repeat their runs.

>>> from uq_harness.reference import paper_table
>>> table = paper_table(1)
>>> semgrad = next(row for row in table.rows if row.method == "semgrad")
>>> table.columns[0].model, table.columns[0].task, semgrad.values[0]
('Qwen/Qwen3-4B-Instruct-2507', 'uq_sciq', 72.2)
"""

from uq_harness.reference._configurations import configuration_files
from uq_harness.reference._tables import PAPER_TABLES, ReferenceColumn, ReferenceRow, ReferenceTable, paper_table

__all__ = [
    "PAPER_TABLES",
    "ReferenceColumn",
    "ReferenceRow",
    "ReferenceTable",
    "configuration_files",
    "paper_table",
]
