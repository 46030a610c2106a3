"""From sources of text to rows that are reached by index."""
