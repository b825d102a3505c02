"""The certificate that nginx serves."""
