import contextlib
import http.server
import threading

import cv2
import numpy as np
import pytest

from ppdet_ext.runtime.video import Video, is_camera
from ppdet_ext.runtime.video_writer import VideoWriter

from .fake import fake_detector
from .videos import frame, number_in, read_numbers, write_video


@contextlib.contextmanager
def mjpeg_server(frames, pause=0.0):
    """A camera of the network: serves pictures as motion JPEG, and gives its URL; so many, None for ever."""
    over = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            number = 0
            with contextlib.suppress(OSError):  # the other side may leave
                while frames is None or number < frames:
                    data = cv2.imencode(".jpg", frame(number)[..., ::-1])[1].tobytes()
                    self.wfile.write(
                        b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data)
                    )
                    self.wfile.write(data + b"\r\n")
                    number += 1
                    if over.wait(pause):
                        return

        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/camera.mjpg"
    finally:
        over.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("name, code", [("ü 1.mp4", "mp4v"), ("b.avi", "MJPG"), ("c.mkv", "mp4v")])
def test_frames_in_order_with_what_is_known(tmp_path, name, code):
    path = write_video(tmp_path / name, 30, (64, 48), 10.0, code)
    with Video(path) as video:
        assert (video.fps, video.size, video.count, video.live) == (10.0, (64, 48), 30, False)
        frames = list(video)
        assert list(video) == []
    assert [number_in(each) for each in frames] == list(range(30))
    assert all(each.shape == (48, 64, 3) and each.dtype == np.uint8 for each in frames)
    red, _, blue = frames[0][8, 8]
    assert red > 180 and blue < 80  # RGB, not BGR


def test_a_detector_takes_a_video(tmp_path, monkeypatch):
    detector = fake_detector(tmp_path, monkeypatch)
    video = Video(write_video(tmp_path / "a.mp4", 21))
    assert len(list(detector.stream(video, 4))) == 21
    video = Video(tmp_path / "a.mp4")
    stream = detector.stream(video, 4)
    next(stream)
    stream.close()
    assert list(video) == []  # closed, too


@pytest.mark.parametrize(
    "name, make, message",
    [
        ("none.mp4", None, "none.mp4: cannot be read"),
        ("empty.mp4", lambda whole: b"", "empty.mp4: is empty"),
        ("text.mp4", lambda whole: b"no video" * 99, "text.mp4: is truncated, has no frames or is no video"),
        ("cut.mp4", lambda whole: whole[: len(whole) // 2], "cut.mp4: is truncated, has no frames"),
        ("0.avi", "no frames", "0.avi: is truncated, has no frames or is no video"),
    ],
)
def test_what_cannot_be_opened(tmp_path, capfd, name, make, message):
    path = tmp_path / name
    if make == "no frames":
        write_video(path, 0, code="MJPG")
    elif make:
        path.write_bytes(make(write_video(tmp_path / "whole.mp4").read_bytes()))
    with pytest.raises(ValueError, match=message) as caught:
        Video(path)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")  # neither OpenCV nor FFmpeg has something to say


def test_a_folder_is_no_video(tmp_path):
    with pytest.raises(ValueError, match="is a folder"):
        Video(tmp_path)


@pytest.mark.parametrize("name, code", [("a.avi", "MJPG"), ("c.mkv", "mp4v")])
def test_a_cut_video_gives_what_it_has_and_says_so(tmp_path, name, code):
    path = write_video(tmp_path / name, 40, code=code)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    got = []
    with pytest.raises(ValueError, match=rf"{name}: is truncated, it ends after \d+ of \d+ frames"):
        for picture in Video(path):
            got.append(number_in(picture))
    assert got == list(range(len(got))) and 5 < len(got) < 30


def test_names_of_cameras():
    for camera in (0, "camera:0", "camera:/dev/video7", "rtsp://10.0.0.1/a", "HTTP://x/y.mjpg"):
        assert is_camera(camera)
    for file in ("0", "camera.mp4", "c:\\a.mp4", "in/rtsp.avi"):
        assert not is_camera(file)


@pytest.mark.parametrize("source", ["camera:/dev/no such camera", "http://127.0.0.1:9/a", 97])
def test_cameras_that_are_not_there(source, capfd):
    with pytest.raises(ValueError, match=r"gives no pictures; check address"):
        Video(source)
    assert capfd.readouterr() == ("", "")


def test_a_password_is_not_told():
    with pytest.raises(ValueError, match="^rtsp://127.0.0.1:9/a: gives no pictures"):
        Video("rtsp://admin:secret@127.0.0.1:9/a")


def test_a_network_camera_that_stops():
    with mjpeg_server(12) as url:
        video = Video(url)
        assert video.live and video.count is None and video.size == (64, 48)
        got = []
        with pytest.raises(ValueError, match=f"{url}: gives no more pictures after .*; check the connection"):
            for picture in video:
                got.append(number_in(picture))
    assert got == list(range(len(got))) and len(got) >= 10


@pytest.mark.parametrize("name", ["out.mp4", "out.AVI"])
def test_written_frames_come_back(tmp_path, name):
    path = tmp_path / "new" / name
    with VideoWriter(path, 12.0) as writer:
        for number in range(25):
            writer.write(frame(number))
        assert not path.exists() and len(list(path.parent.iterdir())) == 1
    assert [file.name for file in path.parent.iterdir()] == [name]
    with Video(path) as video:
        assert (video.fps, video.size, video.count) == (12.0, (64, 48), 25)
        frames = list(video)
    assert [number_in(each) for each in frames] == list(range(25))
    assert frames[3][8, 8, 0] > 180 and frames[3][8, 8, 2] < 80


def test_a_video_is_whole_after_an_exception(tmp_path):
    path = tmp_path / "a.mp4"
    with pytest.raises(KeyboardInterrupt), VideoWriter(path, 10) as writer:
        for number in range(7):
            writer.write(frame(number))
        raise KeyboardInterrupt
    assert read_numbers(path) == list(range(7))
    with VideoWriter(tmp_path / "none.mp4", 10):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["a.mp4"]


def test_an_older_video_stays_until_the_new_one_is_whole(tmp_path):
    path = write_video(tmp_path / "a.mp4", 5)
    before = path.read_bytes()
    writer = VideoWriter(path, 10)
    writer.write(frame(9))
    assert path.read_bytes() == before
    writer.close()
    assert read_numbers(path) == [9]


def test_live_pictures_keep_the_pace_of_the_world(tmp_path):
    path = tmp_path / "a.mp4"
    # 10 frames a second: 0.0 twice (the second comes too early), a gap of half a second, then on time
    with VideoWriter(path, 10.0) as writer:
        for number, seconds in enumerate((0.0, 0.05, 0.65, 0.75)):
            writer.write(frame(number), seconds)
    assert read_numbers(path) == [0] * 6 + [2, 3]


def test_odd_sides_lose_a_pixel(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 10) as writer:
        writer.write(frame(3, (65, 49)))
    with Video(tmp_path / "a.mp4") as video:
        assert video.size == (64, 48) and number_in(next(video)) == 3


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match="'.gif' videos cannot be written; use .mp4 or .avi"):
        VideoWriter(tmp_path / "a.gif", 10)
    with pytest.raises(ValueError, match="fps is 0"):
        VideoWriter(tmp_path / "a.mp4", 0)
    with VideoWriter(tmp_path / "a.mp4", 10) as writer:
        writer.write(frame(0))
        with pytest.raises(ValueError, match="frame 1 has 32x32 pixels, the first had 64x48"):
            writer.write(frame(0, (32, 32)))
