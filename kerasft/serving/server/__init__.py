"""The local server: a SavedModel behind TensorFlow Serving's REST and gRPC APIs."""
