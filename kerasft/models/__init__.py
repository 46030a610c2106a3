"""Backbones, tokenizers and what a task puts on top of them, in Keras' and KerasHub's own forms."""
