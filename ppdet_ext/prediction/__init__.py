"""What `ppdet-ext predict` does: images, videos and cameras in; pictures, videos, detections out."""
