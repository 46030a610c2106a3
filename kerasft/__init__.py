"""kerasft: fine-tune BERT- and GPT-type language models in TensorFlow and Keras 3, and serve them."""

__version__ = "0.1.0"
