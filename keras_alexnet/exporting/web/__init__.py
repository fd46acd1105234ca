"""The page in the browser: its files, and the runtime beside them."""
