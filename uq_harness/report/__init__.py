"""Reports: the paper's tables over your runs, as HTML, Markdown, LaTeX and CSV, with curves and confident mistakes."""
