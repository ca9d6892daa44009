"""Reads the sparse models that `lift` and `labels export --to colmap` write with pycolmap, and measures them.

usage: python read_colmap.py FOLDER [FOLDER ...]     (pip install pycolmap; tried with 4.2.1)

Prints one JSON object for each folder and ends with 1 where points do not fall where their images see them.
"""

import json
import sys

import numpy as np
import pycolmap

MOST_PIXELS = 1e-2


def measure(folder):
    model = pycolmap.Reconstruction(folder)
    errors = []
    for image in model.images.values():
        for seen in image.get_observation_points2D():
            place = model.points3D[seen.point3D_id].xyz
            camera = image.camera
            projected = camera.img_from_cam(image.cam_from_world() * place)
            errors.append(np.linalg.norm(projected - seen.xy))
    return {
        "folder": folder,
        "cameras": model.num_cameras(),
        "images": model.num_images(),
        "points": model.num_points3D(),
        "observations": len(errors),
        "mean_track": model.compute_mean_track_length(),
        "largest_error_pixels": float(max(errors, default=0)),
    }


def main(folders):
    found = [measure(folder) for folder in folders]
    for one in found:
        print(json.dumps(one))
    return max(one["largest_error_pixels"] for one in found) > MOST_PIXELS


sys.exit(main(sys.argv[1:]))
