"""CPU of composing 6 × 360p VP8 to 720p30 H.264, against the ffmpeg command line (xstack) with the same preset and CRF.

``python -m bench.compose [--tiles 6] [--seconds 20]``: one JSON line; ``ratio`` is ours divided by ffmpeg's, in the same run.
Both mix the sound to AAC; ours also draws names and checks the file.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from recorder.journal import KEY, JournalWriter
from recorder.layout import grid
from tests.media.beepflash import opus

FPS = 30
SIZE = (640, 360)
START = 1_800_000_000_000_000


def moving_pictures(index: int, seconds: int) -> list[tuple[bytes, bool]]:
    """Encoded VP8 frames of a moving pattern with some noise, 600 kb/s."""
    encoder = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt = *SIZE, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, FPS), Fraction(FPS)
    encoder.gop_size, encoder.bit_rate, encoder.thread_count = 10 * FPS, 600_000, 1
    encoder.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    random = np.random.default_rng(index)
    x, y = np.arange(SIZE[0]), np.arange(SIZE[1] * 3 // 2)[:, None]
    noise = random.integers(0, 6, (SIZE[1] * 3 // 2, SIZE[0]), dtype=np.uint8)
    frames = []
    for number in range(seconds * FPS):
        wave = 110 + 60 * np.sin((x + number * 2) / 60 + index) * np.cos(y / 50 + number / 40)
        plane = (wave + np.roll(noise, number, axis=1)).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(plane, format="yuv420p")
        frame.pts = number
        frames += [(bytes(packet), packet.is_keyframe) for packet in encoder.encode(frame)]
    return frames


def write_inputs(folder: Path, tiles: int, seconds: int) -> list[Path]:
    """The same frames as a journal (``folder/journal``) and as one WebM a tile."""
    journal = JournalWriter(folder / "journal")
    journal.note("start", START, room_name="Bench")
    timed = []
    files = []
    for index in range(tiles):
        person = f"p{index}"
        journal.note(
            "person", START, person_id=person, name=f"Person {index}", mic=True, camera=True, screen=False
        )
        for number, (source, codec, rate) in enumerate((("camera", "vp8", 90_000), ("mic", "opus", 48_000))):
            n = 1 + index * 2 + number
            journal.note("segment", START, n=n, person_id=person, source=source, codec=codec, clock_rate=rate)
            journal.note("mark", START, n=n, rtp=0)
        frames = moving_pictures(index, seconds)
        timed += [(t * 1_000_000 // FPS, 1 + index * 2, t * 90_000 // FPS, *f) for t, f in enumerate(frames)]
        timed += [(t * 20_000, 2 + index * 2, t * 960, f, True) for t, f in enumerate(opus(index, seconds))]
        files.append(folder / f"{index}.webm")
        with av.open(str(files[-1]), "w") as container:
            stream = container.add_stream("libvpx", rate=FPS)
            stream.width, stream.height = SIZE
            sound = container.add_stream("libopus", rate=48_000, layout="stereo")
            for t, (data, key) in enumerate(frames):
                packet = av.Packet(data)
                packet.stream, packet.pts = stream, t * 1000 // FPS
                packet.dts, packet.time_base = packet.pts, Fraction(1, 1000)
                packet.is_keyframe = key
                container.mux(packet)
            for t, data in enumerate(opus(index, seconds)):
                packet = av.Packet(data)
                packet.stream, packet.pts = sound, t * 20
                packet.dts, packet.time_base = packet.pts, Fraction(1, 1000)
                container.mux(packet)
    for at, n, rtp, data, key in sorted(timed, key=lambda item: item[0]):
        journal.frame(n, KEY if key else 0, rtp, START + at, data)
        if journal.pending > 1 << 20:
            journal.flush()
    journal.note("stop", START + seconds * 1_000_000)
    journal.close()
    return files


def run(command: list[str]) -> tuple[float, int]:
    """(CPU seconds, peak memory in MB) of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, after.ru_maxrss // 1024


def ffmpeg(files: list[Path], out: Path) -> list[str]:
    """Scale, stack, mix and encode, one thread each."""
    placed = grid([str(n) for n in range(len(files))], 1280, 720).tiles
    scaled = "".join(
        f"[{n}:v]scale={r.width}:{r.height}:flags=bilinear[v{n}];" for n, (_, r) in enumerate(placed)
    )
    names = "".join(f"[v{n}]" for n in range(len(files)))
    where = "|".join(f"{r.x}_{r.y}" for _, r in placed)
    graph = f"{scaled}{names}xstack=inputs={len(files)}:layout={where}:fill=black,pad=1280:720[out];"
    graph += "".join(f"[{n}:a]" for n in range(len(files))) + f"amix=inputs={len(files)}:normalize=0[sound]"
    command = ["ffmpeg", "-y", "-loglevel", "error", "-filter_complex_threads", "1"]
    for file in files:
        command += ["-threads", "1", "-i", str(file)]
    command += [
        "-filter_complex",
        graph,
        "-map",
        "[out]",
        "-map",
        "[sound]",
        "-r",
        str(FPS),
        "-c:v",
        "libx264",
    ]
    command += ["-preset", "veryfast", "-crf", "25", "-g", "60", "-profile:v", "main", "-pix_fmt", "yuv420p"]
    command += ["-c:a", "aac", "-b:a", "128k", "-ac", "2", "-ar", "48000"]
    return [*command, "-maxrate", "2500k", "-bufsize", "5000k", "-threads", "1", str(out)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, default=6)
    parser.add_argument("--seconds", type=int, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = write_inputs(folder, args.tiles, args.seconds)
        ours, memory = run(
            [sys.executable, "-m", "recorder.compose", str(folder / "journal"), str(folder / "out")]
        )
        theirs, _ = run(ffmpeg(files, folder / "ffmpeg.mp4"))
        line = {
            "bench": "compose",
            "tiles": args.tiles,
            "seconds": args.seconds,
            "cpu_s_per_minute": round(ours * 60 / args.seconds, 1),
            "ffmpeg_cpu_s_per_minute": round(theirs * 60 / args.seconds, 1),
            "ratio": round(ours / theirs, 2),
            "target_ratio": 1.0,
            "memory_mb": memory,
            "size_mb": round((folder / "out" / "recording.mp4").stat().st_size / 1e6, 2),
            "ffmpeg_size_mb": round((folder / "ffmpeg.mp4").stat().st_size / 1e6, 2),
        }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
