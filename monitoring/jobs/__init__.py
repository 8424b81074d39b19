"""What workers do for monitoring."""
