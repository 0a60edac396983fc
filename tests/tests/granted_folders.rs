//! Granted folders, which the host changes while an app looks.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use postern_tests::{Rig, Running};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

/// Longer than an app may believe what it was told, in milliseconds.
const SOON: u64 = 80;

fn expected(folder: &Path) -> Value {
    let names = |path: &Path| {
        let mut names: Vec<String> =
            fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let mut seen = serde_json::Map::new();
    for name in names(folder) {
        let path = folder.join(&name);
        let value = if path.is_dir() {
            json!(names(&path))
        } else {
            let text = fs::read_to_string(&path).unwrap();
            json!([text.len(), text])
        };
        seen.insert(name, value);
    }
    let here: Vec<&str> =
        ["a", "b", "c", "new", "sub"].into_iter().filter(|name| folder.join(name).exists()).collect();
    json!([seen, here])
}

/// Each change is seen soon after, also by an app that has looked at everything before and could remember it.
fn changes_are_seen(option: &str) {
    let rig = Rig::new().unwrap();
    let folder = rig.dir.join("folder");
    fs::create_dir(&folder).unwrap();
    rig.own(&folder).unwrap();
    let script = rig.file("look.py", include_bytes!("../programs/look.py")).unwrap();
    let grant = format!("{}{option}", folder.display());
    let scripts = format!("{}:ro", Path::new(&script).parent().unwrap().display());
    let mut child = rig
        .command(&rig.postern)
        .args(["run", "--no-display", "--grant", &grant, "--grant", &scripts, "--"])
        .args(["/usr/bin/python3", &script, folder.to_str().unwrap()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut look = |step: &str| {
        // Twice, so that the second look may use what the first one learned.
        for _ in 0..2 {
            std::thread::sleep(Duration::from_millis(SOON));
            input.write_all(b"look\n").unwrap();
            let mut line = String::new();
            output.read_line(&mut line).unwrap();
            let seen: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{step}: {e}: {line}"));
            assert_eq!(seen, expected(&folder), "{step}");
        }
    };
    look("nothing is there");
    fs::write(folder.join("a"), "one").unwrap();
    look("a file is new");
    fs::write(folder.join("a"), "one and more").unwrap();
    look("it is longer");
    fs::write(folder.join("temporary"), "other").unwrap();
    fs::rename(folder.join("temporary"), folder.join("a")).unwrap();
    look("it was replaced");
    fs::create_dir(folder.join("sub")).unwrap();
    fs::write(folder.join("sub/inner"), "inner").unwrap();
    fs::hard_link(folder.join("a"), folder.join("b")).unwrap();
    look("a folder and a link are new");
    fs::write(folder.join("b"), "by the other name").unwrap();
    fs::rename(folder.join("sub/inner"), folder.join("new")).unwrap();
    look("a file moved up");
    fs::remove_file(folder.join("a")).unwrap();
    fs::remove_dir_all(folder.join("sub")).unwrap();
    fs::write(folder.join("sub"), "now a file").unwrap();
    look("names went or mean something else");
    for i in 0..300 {
        fs::write(folder.join(format!("many{i}")), "").unwrap();
    }
    fs::write(folder.join("c"), "last").unwrap();
    look("there are many");
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_app_sees_what_others_change() {
    changes_are_seen("");
}

#[test]
fn an_app_that_may_only_read_sees_it_too() {
    changes_are_seen(":ro");
}

#[test]
fn what_is_granted_while_an_app_runs_it_has_at_once() {
    let rig = Rig::new().unwrap();
    let [given, shown] = ["given", "shown"].map(|name| {
        let folder = rig.dir.join(name);
        fs::create_dir(&folder).unwrap();
        rig.own(&folder).unwrap();
        fs::write(folder.join("text"), name).unwrap();
        folder.display().to_string()
    });
    let text = "until [ \"$(cat $1/text 2>/dev/null)\" = given ]; do sleep 0.05; done; echo kept > $1/new || exit 1; \
                until [ \"$(cat $2/text 2>/dev/null)\" = shown ]; do sleep 0.05; done; \
                ( echo no > $2/new ) 2>/dev/null && exit 2; exit 42";
    let mut app = Running::start(&rig, &["--id", "late"], &["sh", "-c", text, "sh", &given, &shown]).unwrap();
    app.status().unwrap();
    let permit = |value: &str| rig.postern(&["permit", "late", "files", value]).unwrap().stdout;
    let said = permit(&format!("+{given}"));
    assert!(said.ends_with(": now\n"), "{said}");
    // It could write to it all the same, so this has to wait.
    let said = permit(&format!("+{given}:ro"));
    assert!(said.ends_with("next start\n"), "{said}");
    let said = permit(&format!("+{shown}:ro"));
    assert!(said.ends_with(": now\n"), "{said}");
    assert_eq!(app.end().unwrap(), 42);
    assert_eq!(fs::read_to_string(Path::new(&given).join("new")).unwrap(), "kept\n");
}
