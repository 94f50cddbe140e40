"""Answers as `harlib.bench.engines`, at once: a step of a clip takes 1 ms and 100 MB."""

import json
import os
import sys
import time

spec = json.loads(sys.argv[1])
batch = spec.get("batch", 1)
if spec["policy"] == "broken" or spec["engine"] == "keras-stock":
    sys.exit("this engine is broken")
if spec["policy"] == "aborted":
    print("F1 a.cc:7] Check failed: 2 == 3\n*** Check failure stack trace: ***", file=sys.stderr)
    print("    @           0x6bcf22  (unknown)", file=sys.stderr, flush=True)
    os.abort()
if spec["policy"] == "slow":
    time.sleep(60)
memory = 100_000_000 * batch
print(
    json.dumps({"device": "a desk", "gmacs": 2.0, "first_step_s": 0.1, "memory_bytes": memory}),
    flush=True,
)
for line in sys.stdin:
    steps = int(line.split()[0])
    answer = {"steps": steps, "seconds": 0.001 * batch * steps, "memory_bytes": memory}
    print(json.dumps(answer), flush=True)
