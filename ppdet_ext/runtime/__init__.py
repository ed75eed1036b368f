"""Running an exported model: NumPy, OpenCV and one engine.

from ppdet_ext.runtime import Detector, Video

detector = Detector('output/export')
for found in detector.predict(['a.jpg', 'b.jpg']):
    print(found.boxes, found.scores, found.labels)
for found in detector.stream(Video('a.mp4')):
    print(len(found))
for camera, frame, found in detector.streams([Video(0), Video('rtsp://10.0.0.7/a')], latest=True):
    print(camera, len(found))
"""

from .detections import Detections
from .detector import Detector
from .video import Video
from .work import Result

__all__ = ["Detections", "Detector", "Result", "Video"]
