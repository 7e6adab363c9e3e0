"""Answers that somebody saved: read, scored as far as the file goes, judged, and written as a run is.

No model answers here. What a file lacks is said, method by method.
"""
