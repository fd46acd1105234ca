"""What `docs/generate.py` writes into the pages, one module for each kind of page."""
