//! Bad input gets a clear error and loses nothing.

use postern_tests::Rig;

#[test]
fn programs_that_cannot_run() {
    let rig = Rig::new().unwrap();
    let missing = rig.sandboxed(&["/no/such/program"]).unwrap();
    assert_eq!(missing.status, 127, "{missing:?}");
    assert!(missing.stderr.contains("/no/such/program"), "{missing:?}");
    let mut arm = std::fs::read("/bin/true").unwrap();
    arm[18] = 183;
    let arm = rig.file("arm", &arm).unwrap();
    let truncated = rig.file("truncated", &std::fs::read("/bin/true").unwrap()[..100]).unwrap();
    let text = rig.file("plain", b"just text\n").unwrap();
    let mut hostile = std::fs::read("/bin/true").unwrap();
    for byte in &mut hostile[64..600] {
        *byte = 0xff;
    }
    let hostile = rig.file("hostile", &hostile).unwrap();
    for program in [arm, truncated, text, hostile] {
        let outcome = rig.sandboxed(&[&program]).unwrap();
        assert_eq!(outcome.status, 126, "{program}: {outcome:?}");
        assert!(outcome.stderr.contains(&program), "{outcome:?}");
    }
}

#[test]
fn manifests_with_mistakes_are_named_and_kept() {
    let rig = Rig::new().unwrap();
    let folder = rig.home().join(".config/postern/apps");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, content, hint) in [
        ("broken", "{ this is not JSON", "line 1"),
        ("unknown", "{\n  \"id\": \"unknown\",\n  \"frobnicate\": true\n}", "frobnicate"),
    ] {
        let path = folder.join(format!("{name}.json"));
        std::fs::write(&path, content).unwrap();
        for part in
            [rig.home().join(".config"), rig.home().join(".config/postern"), folder.clone(), path.clone()]
        {
            rig.own(&part).unwrap();
        }
        let outcome = rig.postern(&["run", "--no-display", "--id", name, "--", "/bin/true"]).unwrap();
        assert_ne!(outcome.status, 0, "{outcome:?}");
        assert!(
            outcome.stderr.contains(hint) && outcome.stderr.contains(&format!("{name}.json")),
            "{outcome:?}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content, "the file is kept");
    }
}

#[test]
fn a_dead_monitors_socket_is_no_trouble() {
    let rig = Rig::new().unwrap();
    let folder = rig.dir.join("run/postern");
    std::fs::create_dir(&folder).unwrap();
    rig.own(&folder).unwrap();
    drop(std::os::unix::net::UnixListener::bind(folder.join("dead.sock")).unwrap());
    rig.own(&folder.join("dead.sock")).unwrap();
    let outcome = rig.postern(&["ps"]).unwrap();
    assert_eq!(outcome.status, 0, "{outcome:?}");
}

#[test]
fn no_session_is_said_plainly() {
    let rig = Rig::new().unwrap();
    let outcome = rig.postern(&[]).unwrap();
    assert_ne!(outcome.status, 0);
    assert!(outcome.stderr.contains("Wayland"), "{outcome:?}");
}
