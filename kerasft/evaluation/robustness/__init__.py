"""How answers hold when texts change in ways that must not, or must, matter."""
