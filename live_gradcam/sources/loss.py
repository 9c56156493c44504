"""What could not be read of a recording."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Loss:
    """What could not be read of a file.

    Attributes:
        corrupt_packets: packets that the decoder refused; each is a frame or a part of one. Of pictures, those that
            cannot be read.
        missing_seconds: how much earlier than the header says the pictures end.
        mended_frames: frames that the decoder could read only in part; it guessed the rest.
        breaks: places where the file is broken: frames may be missing there.
        pictures: the names of the pictures that cannot be read, or of some; "" of a video.
    """

    corrupt_packets: int
    missing_seconds: float
    mended_frames: int = 0
    breaks: int = 0
    pictures: str = ""

    def __bool__(self) -> bool:
        return any((self.corrupt_packets, self.missing_seconds, self.mended_frames, self.breaks))

    def __str__(self) -> str:
        parts = []
        if self.missing_seconds:
            parts.append(f"the last {self.missing_seconds:.1f} s are missing")
        if self.pictures:
            pictures = "picture" if self.corrupt_packets == 1 else "pictures"
            parts.append(f"{self.corrupt_packets} {pictures} cannot be read ({self.pictures})")
        elif self.corrupt_packets:
            packets = "damaged packet was" if self.corrupt_packets == 1 else "damaged packets were"
            parts.append(f"{self.corrupt_packets} {packets} skipped")
        if self.mended_frames:
            frames = "damaged frame" if self.mended_frames == 1 else "damaged frames"
            parts.append(f"the decoder repaired {self.mended_frames} {frames}, perhaps badly")
        if self.breaks:
            places = "in one place" if self.breaks == 1 else f"in {self.breaks} places"
            parts.append(f"the file is broken {places}, where frames may be missing")
        return " and ".join(parts)


NO_LOSS = Loss(0, 0.0)
