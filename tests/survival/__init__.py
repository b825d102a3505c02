"""What is lost, what the status says, and what its remedy does, while each fault lasts."""
