"""Files, terminal, provenance, arguments."""
