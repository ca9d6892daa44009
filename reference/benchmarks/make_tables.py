"""Small Parquet files and archives of the kinds in which benchmarks are published, for the tests of their readers.

usage: python make_tables.py packages/core/src/benchmarks/__golden__      (needs pyarrow and pillow)
"""

import io
import sys
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image


def png(red):
    out = io.BytesIO()
    Image.new("RGB", (2, 1), (red, 2, 3)).save(out, "PNG")
    return out.getvalue()


def table():
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = range(5)
    return pa.table(
        {
            "id": pa.array(rows, pa.int64()),
            "question": pa.array([f"Was ist links von Nr. {i}? ä€" for i in rows]),
            "options": pa.array([["A. left", "B. right"], None, [], ["A. x"], ["A. y"]], pa.list_(pa.string())),
            "truth": pa.array([1.5, None, 2.0, 3.0, 4.0], pa.float64()),
            "image": pa.array([{"bytes": png(i), "path": f"{i}.png"} for i in rows], image),
        }
    )


def main(folder):
    for codec in ["snappy", "zstd", "gzip", "none"]:
        pq.write_table(table(), folder / f"table-{codec}.parquet", compression=codec, row_group_size=2)
    with zipfile.ZipFile(folder / "media.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images/0.png", png(0))
        archive.writestr("../outside.png", png(1))
        archive.writestr("images/ä.png", png(2))
    with zipfile.ZipFile(folder / "one-top.zip", "w") as archive:
        archive.writestr("Bench/scene/3.png", png(3))


main(Path(sys.argv[1]))
