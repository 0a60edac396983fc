//! Databases: many processes on shared memory, locks, and files that must survive a crash.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use postern_tests::session::wait_for;
use postern_tests::{Rig, Running};
use std::fs;

#[test]
fn postgresql() {
    let rig = Rig::new().unwrap();
    let out = rig.same_script("postgres", &[]);
    let text = &out.stdout;
    assert_eq!(text.matches("transactions actually processed: 400/400").count(), 2, "{text}");
    assert!(text.ends_with("stop 0\nDatabase cluster state:               shut down\n"), "{text}");
}

#[test]
fn redis() {
    let rig = Rig::new().unwrap();
    let out = rig.same_script("redis", &[]);
    assert!(out.stdout.contains("RDB looks OK"), "{out:?}");
}

/// Adds rows for ever; writes down each number that the server has said to be committed.
const WRITER: &str = r#"
PATH=/usr/lib/postgresql/15/bin:$PATH; export PGDATA=$HOME/pg PGHOST=$HOME PGDATABASE=postgres PGUSER=me; cd "$HOME"
[ -d pg ] || initdb -A trust -U me -N >/dev/null
rm -f pg/postmaster.pid; postgres -k "$HOME" -c listen_addresses= -c recovery_init_sync_method=syncfs >>log 2>&1 &
until pg_isready -q; do sleep 0.1; done
psql -qXAtc 'create table if not exists t(n int)'
if [ "$1" = check ]; then
    psql -XAtc 'select count(*) >= '"$(cat committed)"', max(n) = count(*) from t'
    psql -qXAtc 'vacuum full t; create index on t(n)'; pg_ctl -m fast stop >/dev/null
    exit
fi
n=$(psql -XAtc 'select count(*) from t')
psql -qXAtc "select 'insert into t values (' || i || '); select ' || i || ';' from generate_series($n + 1, 1000000) i" |
    psql -qXAt | while read -r n; do echo "$n" >new; mv new committed; done
"#;

#[test]
fn postgresql_survives_the_death_of_the_whole_app() {
    let rig = Rig::new().unwrap();
    let home = rig.home().join(".local/share/postern/homes/db");
    let committed =
        || fs::read_to_string(home.join("committed")).ok().and_then(|n| n.trim().parse::<u64>().ok());
    let options = ["--no-display", "--id", "db"];
    for part in ["keeper_pid", "pid"] {
        let before = committed().unwrap_or(0);
        let mut app = Running::start(&rig, &options, &["/bin/bash", "-c", WRITER]).unwrap();
        wait_for("rows", || Ok(committed().filter(|n| *n > before + 20))).unwrap();
        let victim = i32::try_from(app.pid_of(part).unwrap()).unwrap();
        kill(Pid::from_raw(victim), Signal::SIGKILL).unwrap();
        assert_ne!(app.end().unwrap(), 0);
    }
    let out = rig.sandboxed_with(&options[1..], &["/bin/bash", "-c", WRITER, "x", "check"], None).unwrap();
    assert_eq!(out.stdout, "t|t\n", "{out:?}");
}

/// Each of these promises that the disk has it: five writes, one more, a directory's names, and everything.
const DURABLE: &str = "import os
home = os.environ['HOME']
f = os.open(home + '/x', os.O_WRONLY | os.O_CREAT | os.O_DSYNC)
for _ in range(5): os.write(f, b'x')
os.pwritev(os.open(home + '/y', os.O_WRONLY | os.O_CREAT), [b'z'], 0, os.RWF_SYNC)
os.fsync(os.open(home, os.O_RDONLY))
os.sync()
";

#[test]
fn what_is_promised_to_be_durable_reaches_the_host() {
    let rig = Rig::new().unwrap();
    let report = rig.dir.join("run/report");
    let options = ["--json-report", report.to_str().unwrap()];
    let out = rig.sandboxed_with(&options, &["python3", "-c", DURABLE], None).unwrap();
    assert_eq!((out.status, out.stderr.as_str()), (0, ""));
    let report: serde_json::Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    assert_eq!(report["downcalls"]["Flush"], 8, "{report}");
}
