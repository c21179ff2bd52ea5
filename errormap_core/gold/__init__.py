"""Gold analyses and a gold taxonomy: what people wrote to score judges and trees against (format: docs/gold.md)."""
