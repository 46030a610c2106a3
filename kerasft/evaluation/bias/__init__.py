"""Whether groups of people are treated unequally: by a column, by the words in texts, and by what a model prefers."""
