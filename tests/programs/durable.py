"""Commits rows and replaces a file for ever, in the folder given; notes what was promised. Looks first whether what
was promised before is there. With a second argument: only looks."""
import os, sqlite3, sys

folder, only_look = sys.argv[1], len(sys.argv) > 2
os.chdir(folder)
SIZE = 20000


def noted(name):
    try:
        return int(open(name).read() or 0)
    except FileNotFoundError:
        return 0


db = sqlite3.connect("db", isolation_level=None)
if noted("mode") == 0:
    db.execute("pragma journal_mode = " + ("wal" if "wal" in folder else "delete"))
    db.execute("create table if not exists t(n integer primary key, text)")
    open("mode", "w").write("1")
db.execute("pragma synchronous = full")
state = db.execute("pragma integrity_check").fetchone()[0]
count, last = db.execute("select count(*), coalesce(max(n), 0) from t").fetchone()
promised = noted("committed")
assert state == "ok" and count == last >= promised, (state, count, last, promised)
number = noted("renamed")
if number:
    text = open("whole").read()
    assert len(text) == SIZE and text == text[:8] * (SIZE // 8) and int(text[:8]) >= number, (number, text[:16])
if only_look:
    print("ok", promised > 0, number > 0)
    sys.exit()

committed = os.open("committed", os.O_WRONLY | os.O_CREAT)
renamed = os.open("renamed", os.O_WRONLY | os.O_CREAT)
number = int(text[:8]) if number else 0
os.close(os.open("ready", os.O_WRONLY | os.O_CREAT))
while True:
    last += 1
    db.execute("begin")
    db.execute("insert into t values (?, ?)", (last, "x" * (last * 37 % 5000)))
    db.execute("commit")
    os.pwrite(committed, b"%09d" % last, 0)
    number += 1
    f = os.open("new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for _ in range(4):
        os.write(f, b"%08d" % number * (SIZE // 32))
    os.fsync(f)
    os.close(f)
    os.rename("new", "whole")
    os.pwrite(renamed, b"%09d" % number, 0)
