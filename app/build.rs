//! Builds the programs that the binary carries: the library OS image and the manager.
//!
//! Neither can be an ordinary dependency. The image is a static program without libc and has its own linker script; the
//! manager would bring a toolkit into every process of a running app. Each is built by a cargo of its own, into a target
//! directory that all profiles share, and always optimised.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode};

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        // After a failure, not after an error that it is told by a directive, cargo also shows what the compiler said.
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let out = PathBuf::from(env("OUT_DIR")?);
    // OUT_DIR is TARGET/PROFILE/build/postern-HASH/out.
    let target =
        out.ancestors().nth(4).ok_or_else(|| format!("OUT_DIR: {}", out.display()))?.join("embedded");
    let root = Path::new(&env("CARGO_MANIFEST_DIR")?).join("..");
    let watched = [
        "libos",
        "monitor",
        "compositor-bridge/channel",
        "app/library",
        "app/manager",
        "assets",
        "Cargo.toml",
        "Cargo.lock",
    ];
    for watched in watched {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    let (image_target, manager_target) = (target.join("image"), target.join("manager"));
    let image = start(image(&root, &image_target)?)?;
    let manager = start(manager(&root, &manager_target)?)?;
    let (image, manager) = (finish(image, "the library OS image"), finish(manager, "the manager"));
    image?;
    manager?;
    embed("POSTERN_IMAGE", &image_target.join("x86_64-unknown-linux-gnu/release/postern-libos"))?;
    embed("POSTERN_MANAGER", &manager_target.join("release/postern-manager"))
}

fn env(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|e| format!("{name}: {e}"))
}

/// A build of a package's binary, without what the outer cargo says for its own.
fn cargo(command: &str, root: &Path, target: &Path, package: &str) -> Result<Command, String> {
    let mut cargo = Command::new(env("CARGO")?);
    cargo.current_dir(root).args([command, "--release", "--package", package, "--bin", package]);
    cargo.arg("--target-dir").arg(target);
    for outer in [
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
    ] {
        cargo.env_remove(outer);
    }
    Ok(cargo)
}

fn image(root: &Path, target: &Path) -> Result<Command, String> {
    let script = root.join("libos/image.ld").canonicalize().map_err(|e| format!("libos/image.ld: {e}"))?;
    let flags = [
        "-Cpanic=abort".into(),
        "-Crelocation-model=pic".into(),
        "-Cforce-frame-pointers=yes".into(),
        // As fast as with more, and a third smaller: every app has this text in memory.
        "-Cllvm-args=-inline-threshold=60".into(),
        "-Clink-arg=-nostartfiles".into(),
        "-Clink-arg=-nostdlib".into(),
        "-Clink-arg=-static".into(),
        "-Clink-arg=-no-pie".into(),
        "-Clink-arg=-Wl,--gc-sections,--build-id".into(),
        format!("-Clink-arg=-Wl,-T,{}", script.display()),
    ];
    let mut cargo = cargo("build", root, target, "postern-libos")?;
    cargo
        .args(["--features", "image", "--target", "x86_64-unknown-linux-gnu"])
        // One flag a field: a path may hold spaces.
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env("CARGO_PROFILE_RELEASE_LTO", "fat")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "2")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
    Ok(cargo)
}

fn manager(root: &Path, target: &Path) -> Result<Command, String> {
    let mut cargo = cargo("rustc", root, target, "postern-manager")?;
    // Without symbols, which are a fifth of it. Cargo's own setting for that would hold for all dependencies too.
    cargo.args(["--", "-Cstrip=symbols"]);
    Ok(cargo)
}

fn start(mut cargo: Command) -> Result<Child, String> {
    cargo.spawn().map_err(|e| format!("cargo did not start: {e}"))
}

fn finish(mut cargo: Child, what: &str) -> Result<(), String> {
    match cargo.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(format!("{what} did not build")),
        Err(e) => Err(format!("{what}: {e}")),
    }
}

/// Lets the crate find a program under the name of this variable.
fn embed(variable: &str, program: &Path) -> Result<(), String> {
    match std::fs::metadata(program) {
        Ok(facts) if facts.len() > 0 => println!("cargo::rustc-env={variable}={}", program.display()),
        Ok(_) => return Err(format!("{}: empty", program.display())),
        Err(e) => return Err(format!("{}: {e}", program.display())),
    }
    Ok(())
}
