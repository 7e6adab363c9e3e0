"""BEM: inputs of the classifier, and its two backends."""
