"""How much each word of a text moved an answer: the methods, and what they ask of a model."""
