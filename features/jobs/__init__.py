"""What workers do for the feature store."""
