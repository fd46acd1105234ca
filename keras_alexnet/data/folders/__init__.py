"""Folders of images as people have them: what is in them, and which of it is a split or a class."""
