"""Running an exported model: NumPy, OpenCV and one engine.

from ppdet_ext.runtime import Detector
for found in Detector('output/export').predict(['a.jpg', 'b.jpg']):
    print(found.boxes, found.scores, found.labels)
"""

from .detections import Detections
from .detector import Detector

__all__ = ["Detections", "Detector"]
