"""The `clustermesos` command."""
