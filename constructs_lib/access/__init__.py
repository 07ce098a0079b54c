"""Reaching a site's private nodes by the user's own OpenSSH, through the gateway."""
