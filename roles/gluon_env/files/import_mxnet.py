"""Import MXNet with the environment's own Python, and note with which requirements that worked."""

import json
import os
import sys

question = json.loads(sys.argv[1])
if os.path.exists(question["proof"]):  # noqa: PTH110 - an old edition's Python may be 3.6, where os is the shorter way
    os.unlink(question["proof"])  # noqa: PTH108
import mxnet  # noqa: E402

with open(question["proof"], "w") as proof:  # noqa: PTH123
    json.dump(question["wheels"], proof)
print(json.dumps(mxnet.__version__))
