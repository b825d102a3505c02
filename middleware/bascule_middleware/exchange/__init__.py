"""What links read of a request, and the pages that they answer with."""
