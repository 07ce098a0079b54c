"""Secrets that the plan names: made once, kept in .clustermesos/secrets.json, handed to Terraform."""
