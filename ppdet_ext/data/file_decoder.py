"""What operators that open image files share."""

from ..runtime.image import decode_image, read_image


class FileDecoder:
    """Put before an operator that decodes a sample's image.

    Attributes:
        read (callable): the path of a file to [H, W, 3] uint8 RGB; a reader's cache takes its place.
    """

    read = staticmethod(read_image)

    def decode(self, sample):
        """The image of a sample that has a file's path or its bytes: [H, W, 3] uint8 RGB."""
        data = sample.get("image")
        return self.read(sample["im_file"]) if data is None else decode_image(data, "an image")
