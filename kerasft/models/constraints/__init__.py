"""Which texts an answer may be: regular expressions and JSON schemas as automata over bytes, then over tokens."""
