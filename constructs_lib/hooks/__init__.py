"""What runs after a deploy: waits for the platform, and makes its applications what their contracts say."""
