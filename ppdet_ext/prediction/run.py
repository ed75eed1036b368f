"""The work of `predict`: images, videos and cameras through a detector, into pictures and reports."""

import os
import time
from contextlib import ExitStack, closing

from ..runtime.video import Video
from ..visualize import draw_detections, write_image
from ..visualize.background import Background
from ..visualize.video import DrawnVideo

# Pictures smaller than this are enlarged, so that the labels on them can be read.
MIN_PICTURE_SIDE = 320
# For videos and cameras that do not say how fast they run.
USUAL_FPS = 25.0
# Threads that draw and write pictures; the network needs the others.
DRAWERS = max(1, min(4, (os.cpu_count() or 1) // 2))


class Run:
    """Takes inputs one after the other.

    Args:
        detector (Detector): detects.
        options: has `batch` (int), images a run of the network; `threshold` (float), least score of a
            detection; `frames` (int | None), so many of each video and camera at most.
        reports (Reports): takes what is found.
        names (Names | None): says where pictures go; None for no pictures.
        stop (threading.Event): ends the work when set.
        progress (callable): called after each image.

    Attributes:
        images, frames, found (int): images, frames of videos and cameras, and detections so far.
        failures (list): a line for each input that could not be read, or not to its end.
    """

    def __init__(self, detector, options, reports, names, stop, progress):
        self.detector, self.reports, self.names = detector, reports, names
        self.stop, self.progress = stop, progress
        self.batch, self.threshold, self.limit = options.batch, options.threshold, options.frames
        self.images = self.frames = self.found = 0
        self.failures = []
        self.next_id = 1

    def take_images(self, files, ids=None):
        """Images, in batches.

        Args:
            files (list): pairs of a file and its name relative to the folder given.
            ids (list | None): their ids in COCO results; by default they are counted.
        """
        ids = ids or range(self.next_id, self.next_id + len(files))
        self.next_id += len(files)
        pictures = [self.names and self.names.picture(name) for _, name in files]
        paths = (file for file, _ in files)
        with ExitStack() as stack:
            background = stack.enter_context(Background(DRAWERS))
            results = stack.enter_context(closing(self._results(paths)))
            for result, picture, image_id in zip(results, pictures, ids):
                if result.error is not None:
                    self.failures.append(str(result.error))
                else:
                    about = {"file": str(result.item)}
                    if picture:
                        about["picture"] = str(picture)
                        background.do(self._draw, picture, result.image, result.detections)
                    self.images += 1
                    self._add(image_id, about, result.detections)
                self.progress()

    def _results(self, images):
        return self.detector.results(images, self.batch, self.threshold, self.stop)

    def _draw(self, path, image, detections):
        write_image(path, draw_detections(image, detections, self.threshold, MIN_PICTURE_SIDE))

    def take_video(self, file, name):
        """A video file, given with its name relative to the folder given."""
        try:
            video = Video(file)
        except ValueError as error:
            self.failures.append(str(error))
            return
        with ExitStack() as stack:
            stack.enter_context(video)
            about = {"file": str(file)}
            drawn = self.names and self._drawn(self.names.video(name), video, about, stack)
            frames = self._frames(video, lambda number: self.limit is None or number < self.limit)
            results = stack.enter_context(closing(self._results(frames)))
            for number, result in enumerate(results):
                if result.error is not None:
                    self.failures.append(f"{file}: {result.error}")
                    return
                if drawn:
                    drawn.write(result.image, result.detections)
                self._add_frame({**about, "frame": number}, result.detections)

    def take_cameras(self, sources):
        """Cameras and streams, all at once, until they end; of frames that come too fast the last counts."""
        with ExitStack() as stack:
            videos = []
            for source in sources:
                try:
                    videos.append(stack.enter_context(Video(source)))
                except ValueError as error:
                    self.failures.append(str(error))
            abouts = [{"file": video.name} for video in videos]
            drawn = [
                self.names and self._drawn(self.names.camera(video.name), video, about, stack)
                for video, about in zip(videos, abouts)
            ]
            done = [0] * len(videos)

            def wants_more(camera):
                return lambda _: self.limit is None or done[camera] < self.limit

            frames = [self._frames(video, wants_more(camera)) for camera, video in enumerate(videos)]
            start = time.monotonic()
            results = self.detector.streams(
                frames,
                self.batch,
                self.threshold,
                latest=True,
                on_error=lambda camera, error: self.failures.append(f"{videos[camera].name}: {error}"),
                stop=self.stop,
            )
            stack.enter_context(closing(results))
            for camera, frame, detections in results:
                if not wants_more(camera)(None):
                    continue
                if drawn[camera]:
                    drawn[camera].write(frame, detections, time.monotonic() - start)
                self._add_frame({**abouts[camera], "frame": done[camera]}, detections)
                done[camera] += 1

    def _drawn(self, path, video, about, stack):
        """A DrawnVideo for a Video, entered into `stack` and named in `about`."""
        about["video"] = str(path)
        return stack.enter_context(DrawnVideo(path, video.fps or USUAL_FPS, self.threshold))

    def _frames(self, video, more):
        """The frames of a video while `more(number)`; why it ends too early goes to the failures."""
        number = 0
        try:
            while more(number):
                frame = next(video, None)
                if frame is None:
                    return
                yield frame
                number += 1
        except ValueError as error:
            self.failures.append(str(error))

    def _add_frame(self, about, detections):
        self._add(self.next_id, about, detections)
        self.next_id += 1
        self.frames += 1
        self.progress()

    def _add(self, image_id, about, detections):
        self.reports.add(image_id, about, detections)
        self.found += len(detections)
