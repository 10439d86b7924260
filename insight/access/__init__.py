"""Who asks, and what that person may see: by the API server's reviews alone."""
