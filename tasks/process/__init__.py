"""Isolated processes: started, limited, listened to, and ended with everything below them."""
