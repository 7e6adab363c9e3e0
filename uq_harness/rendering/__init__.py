"""How results become text and pictures: the only escapers, pictures, the templates of pages."""
