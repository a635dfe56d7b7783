"""Isolated processes: how they are started, limited, listened to, and ended with all their children."""
