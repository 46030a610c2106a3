"""Forms of a trained model beside the SavedModel: each is a folder beside the versions, checked before it appears."""
