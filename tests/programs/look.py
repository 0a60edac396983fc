"""For every line read, prints what the folder holds: names, sizes, content, and what names that come and go are."""
import json
import os
import sys

folder = sys.argv[1]
for _ in sys.stdin:
    seen = {}
    for entry in sorted(os.listdir(folder)):
        path = os.path.join(folder, entry)
        status = os.stat(path)
        seen[entry] = [status.st_size, open(path).read()] if os.path.isfile(path) else sorted(os.listdir(path))
    here = [name for name in ("a", "b", "c", "new", "sub") if os.path.exists(os.path.join(folder, name))]
    # Often enough that all of the folder is known.
    for i in range(40):
        os.path.exists(os.path.join(folder, f"absent{i}"))
    print(json.dumps([seen, here]), flush=True)
