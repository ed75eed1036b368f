import pytest

from ppdet_ext.runtime import Detections
from ppdet_ext.runtime.video import Video
from ppdet_ext.visualize.draw import class_colour
from ppdet_ext.visualize.video import DrawnVideo

from ..runtime.videos import frame, number_in, read_numbers

FOUND = Detections([[24, 4, 60, 28]], [0.9], [1], ["cat", "dog"])


def test_frames_are_drawn_in_order_and_left_as_they_are(tmp_path):
    frames = [frame(number) for number in range(20)]
    with DrawnVideo(tmp_path / "a.mp4", 10.0, 0.5) as video:
        for picture in frames:
            video.write(picture, FOUND)
    assert all((picture == frame(number)).all() for number, picture in enumerate(frames))
    with Video(tmp_path / "a.mp4") as video:
        drawn = list(video)
    assert [number_in(picture) for picture in drawn] == list(range(20))
    _, green, blue = drawn[4][28, 40:58].mean(0)
    # The compression blurs colours; the frame itself is grey.
    assert class_colour(1)[2] > 200 > 100 > class_colour(1)[1] and blue - green > 50


def test_it_is_whole_after_an_exception_and_reports_its_own(tmp_path):
    with pytest.raises(KeyboardInterrupt), DrawnVideo(tmp_path / "a.mp4", 10.0, 0.5) as video:
        for number in range(6):
            video.write(frame(number), FOUND)
        raise KeyboardInterrupt
    assert read_numbers(tmp_path / "a.mp4") == list(range(6))
    with pytest.raises(ValueError, match="frame 1 has 32x32 pixels"):
        with DrawnVideo(tmp_path / "b.mp4", 10.0, 0.5) as video:
            video.write(frame(7), FOUND)
            video.write(frame(8)[:32, :32], FOUND)
    assert read_numbers(tmp_path / "b.mp4") == [7]
