"""What a training came to: pictures, tables, a model card, and one HTML page that holds them all."""
