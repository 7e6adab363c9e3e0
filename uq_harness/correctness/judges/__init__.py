"""One file a judge; each registers itself."""
