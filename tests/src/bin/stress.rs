//! `make stress`: every stressor of stress-ng's classes that runs natively, under Postern. Arguments: names of
//! stressors (none: all). `POSTERN_STRESS_SECONDS`: how long each runs (5). Fails if one fails under Postern alone,
//! or if something is left on the host.
#![forbid(unsafe_code)]

use postern_tests::Rig;
use postern_tests::session::wait_for;
use postern_tests::stress::{self, Selection, Verdict};
use std::io;
use std::process::ExitCode;

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|l| !l.contains("dispatching hogs")).collect();
    lines.iter().rev().take(6).rev().map(|line| format!("    {line}\n")).collect()
}

fn compare(names: &[String]) -> io::Result<bool> {
    let rig = Rig::new()?;
    let selection = Selection::load()?;
    let seconds = std::env::var("POSTERN_STRESS_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(5);
    let all = stress::stressors(&rig)?;
    let before = stress::traces(&rig);
    let (mut passed, mut wrong, mut refused, mut not_here) = (0, Vec::new(), 0, 0);
    for name in all.iter().filter(|name| names.is_empty() || names.contains(name)) {
        if selection.harmful.contains(name)
            || Verdict::of(stress::run(&rig, name, 1, false)?.status) != Verdict::Passed
        {
            not_here += 1;
            println!("{name:<16} not natively");
            continue;
        }
        let out = stress::run(&rig, name, seconds, true)?;
        let verdict = Verdict::of(out.status);
        match (verdict, selection.reason(name)) {
            (Verdict::Passed, _) => passed += 1,
            (_, Some(_)) => refused += 1,
            (_, None) => wrong.push(name.clone()),
        }
        println!("{name:<16} {verdict:?} {}", selection.reason(name).unwrap_or_default());
        if verdict != Verdict::Passed && selection.reason(name).is_none() {
            print!("    status {}\n{}{}", out.status, last_lines(&out.stdout), last_lines(&out.stderr));
        }
    }
    // The last app may still be on its way out.
    let gone = || Ok(stress::traces(&rig).difference(&before).next().is_none().then_some(()));
    let _ = wait_for("the last app to go", gone);
    let left: Vec<String> = stress::traces(&rig).difference(&before).cloned().collect();
    println!("\n{passed} passed, {refused} refused as listed, {not_here} do not run natively");
    println!("failing under Postern alone: {wrong:?}\nleft on the host: {left:?}");
    Ok(wrong.is_empty() && left.is_empty() && passed > 0)
}

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    match compare(&names) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
