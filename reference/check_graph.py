"""Checks a graph that `program.save(path)` wrote: `python check_graph.py graph.onnx`.

onnx.checker verifies names, types and attributes; operators of ONNX Runtime's own domain are left to ONNX Runtime.
"""

import sys

import onnx

model = onnx.load(sys.argv[1], load_external_data=False)
onnx.checker.check_model(model, full_check=False)
operators = sorted({f"{node.domain + '.' if node.domain else ''}{node.op_type}" for node in model.graph.node})
print(f"{sys.argv[1]}: {len(model.graph.node)} nodes pass onnx.checker {onnx.__version__}")
print("operators:", ", ".join(operators))
