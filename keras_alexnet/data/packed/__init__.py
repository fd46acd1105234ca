"""Archives whose images are read where they are, without a file for each."""
