"""Golden images of packages/core/src/images: small files in many encodings, their pixels and resizes as Pillow gives them.

Run: python reference/core/images_golden.py
"""
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, ImageCms, ImageOps
from safetensors.numpy import save_file

FOLDER = Path(__file__).parents[2] / "packages/core/src/images/__golden__/pillow"
SEED = 11
SIZES = [((37, 23), (16, 10)), ((12, 8), (5, 4)), ((12, 8), (16, 10)), ((40, 30), (40, 7)), ((9, 33), (28, 33)),
         ((50, 3), (1, 1)), ((1, 1), (5, 6)), ((61, 47), (60, 46)), ((64, 48), (28, 56))]


def chunk(tag, data):
    return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))


def write_png(path, pixels, colour_type, depth, extra=b""):
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], depth, colour_type, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra
                     + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def swapped_profile():
    """An RGB profile whose red and green primaries are exchanged: applying it would be visible."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    places = {}
    for i in range(struct.unpack(">I", profile[128:132])[0]):
        at = 132 + 12 * i
        places[bytes(profile[at:at + 4])] = at + 4
    red, green = places[b"rXYZ"], places[b"gXYZ"]
    profile[red:red + 8], profile[green:green + 8] = profile[green:green + 8], profile[red:red + 8]
    return bytes(profile)


def save_small_frame(path, transparent):
    """A 6 x 5 image with a frame of 3 x 2 at (2, 1), in a local palette of 4 colours; pixel (1, 0) of it is index 2."""
    colours = bytes([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
    control = bytes([0x21, 0xF9, 4, 1 if transparent else 0, 0, 0, 2, 0])
    frame = bytes([0x2C]) + struct.pack("<4H", 2, 1, 3, 2) + bytes([0x81]) + colours
    codes = [4, 0, 2, 1, 3, 1, 0, 5]  # clear, six pixels, end; 4 bits once the table has 8 entries
    widths = [3, 3, 3, 3, 4, 4, 4, 4]
    bits = at = 0
    for code, width in zip(codes, widths):
        bits |= code << at
        at += width
    data = bits.to_bytes((at + 7) // 8, "little")
    head = b"GIF89a" + struct.pack("<2H", 6, 5) + bytes([0, 0, 0])
    path.write_bytes(head + control + frame + bytes([2, len(data)]) + data + b"\0;")


def write_images():
    y, x = np.mgrid[0:9, 0:13]
    rgb = np.stack([(23 * x + 31 * y) % 256, (57 * x + 5 * y + 40) % 256, (11 * x * y + 9) % 256], -1).astype(np.uint8)
    alpha = ((x * 37 + y * 11) % 256).astype(np.uint8)
    smooth = np.stack([128 + 100 * np.sin(x / 5 + y / 7), 128 + 90 * np.cos(x / 6), 128 + 80 * np.sin(y / 3)], -1)
    smooth = Image.fromarray(np.kron(smooth.astype(np.uint8), np.ones((2, 2, 1), np.uint8)))
    image = Image.fromarray(rgb)
    image.save(FOLDER / "rgb.png")
    image.save(FOLDER / "transparent-colour.png", transparency=tuple(int(v) for v in rgb[0, 0]))
    image.save(FOLDER / "profile.png", icc_profile=swapped_profile())
    Image.fromarray(np.dstack([rgb, alpha])).save(FOLDER / "rgba.png")
    Image.fromarray(rgb[..., 0]).save(FOLDER / "grey.png")
    Image.fromarray(np.dstack([rgb[..., 0], alpha])).save(FOLDER / "grey-alpha.png")
    Image.fromarray(alpha > 99).save(FOLDER / "one-bit.png")
    palette = image.quantize(16)
    palette.save(FOLDER / "palette.png")
    palette.save(FOLDER / "palette-transparent.png", transparency=3)
    wide = np.stack([x * 4001 + y * 977, x * y * 300 + 77, 65535 - x * 5000], -1)
    write_png(FOLDER / "rgb16.png", wide.astype(">u2"), 2, 16)
    write_png(FOLDER / "rgba16.png", np.dstack([wide, x * 5000]).astype(">u2"), 6, 16)
    write_png(FOLDER / "gamma.png", rgb, 2, 8, chunk(b"gAMA", struct.pack(">I", 100000)))
    image.save(FOLDER / "lossless.webp", lossless=True)
    image.save(FOLDER / "first-frame.gif", save_all=True, append_images=[image.rotate(180)])
    # Hidden pixels of a GIF: within the frame, and around a frame that is smaller than the image.
    palette.save(FOLDER / "transparent.gif", transparency=3)
    save_small_frame(FOLDER / "small-frame.gif", transparent=True)
    save_small_frame(FOLDER / "small-frame-opaque.gif", transparent=False)
    small = (x * 17 + y * 3).astype(np.uint16)  # at most 255
    Image.fromarray(small).save(FOLDER / "grey16-small.png")
    Image.fromarray(small).save(FOLDER / "grey16-small.tiff")
    image.save(FOLDER / "rgb.tiff")
    image.convert("CMYK").save(FOLDER / "cmyk.tiff")
    smooth.save(FOLDER / "rgb.jpg", quality=90)
    smooth.save(FOLDER / "rgb444.jpg", quality=90, subsampling=0)
    smooth.save(FOLDER / "progressive.jpg", quality=85, progressive=True)
    smooth.convert("L").save(FOLDER / "grey.jpg", quality=90)
    smooth.convert("CMYK").save(FOLDER / "cmyk.jpg", quality=90)
    for orientation in range(2, 9):
        exif = Image.Exif()
        exif[0x112] = orientation
        smooth.save(FOLDER / f"orientation{orientation}.jpg", exif=exif, quality=90)


def decoded():
    files = sorted(p for p in FOLDER.iterdir() if p.suffix in {".png", ".jpg", ".tiff", ".gif", ".webp"})
    return {p.name: np.array(ImageOps.exif_transpose(Image.open(p)).convert("RGB")) for p in files}


def resized():
    rng = np.random.default_rng(SEED)
    vectors = {}
    for i, ((w, h), (width, height)) in enumerate(SIZES):
        source = rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
        vectors[f"resize.{i}.source"] = source
        vectors[f"resize.{i}.result"] = np.array(Image.fromarray(source).resize((width, height), Image.BICUBIC))
    return vectors


FOLDER.mkdir(parents=True, exist_ok=True)
write_images()
vectors = {name: np.ascontiguousarray(array) for name, array in (decoded() | resized()).items()}
save_file(vectors, FOLDER / "vectors.safetensors", metadata={"format": "pt"})
case = {
    "script": "reference/core/images_golden.py",
    "versions": {"pillow": PIL.__version__, "numpy": np.__version__},
    "seed": SEED,
    "images": sorted(name for name in vectors if not name.startswith("resize.")),
    "resizes": len(SIZES),
    "tolerance": "0 grey levels for lossless files and resizes; 2 for JPEG, whose decoders may round differently",
}
(FOLDER / "case.json").write_text(json.dumps(case, indent=2) + "\n")
