"""What each engine costs: rows in processes of their own, measured in turn."""
