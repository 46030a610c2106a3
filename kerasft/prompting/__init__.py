"""How a pre-trained model answers by the texts of labels: templates, label words, scores, calibration."""
