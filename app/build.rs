//! Builds the library OS image and lets the binary embed it.
//!
//! The image is a static program without libc, so it cannot be an ordinary dependency: it is built by a cargo of its
//! own, into its own target directory, with its own linker script.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    if let Err(message) = build() {
        println!("cargo::error={message}");
    }
}

fn build() -> Result<(), String> {
    let env = |name: &str| std::env::var(name).map_err(|e| format!("{name}: {e}"));
    let root = PathBuf::from(env("CARGO_MANIFEST_DIR")?).join("..");
    let out = PathBuf::from(env("OUT_DIR")?);
    for watched in ["libos", "monitor/abi", "compositor-bridge/channel", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(watched).display());
    }
    let script = root.join("libos/image.ld").canonicalize().map_err(|e| format!("libos/image.ld: {e}"))?;
    let target_dir = out.join("image");
    let flags = [
        "-Cpanic=abort".into(),
        "-Crelocation-model=pic".into(),
        "-Cforce-frame-pointers=yes".into(),
        "-Clink-arg=-nostartfiles".into(),
        "-Clink-arg=-nostdlib".into(),
        "-Clink-arg=-static".into(),
        "-Clink-arg=-no-pie".into(),
        "-Clink-arg=-Wl,--gc-sections,--build-id".into(),
        format!("-Clink-arg=-Wl,-T,{}", script.display()),
    ];
    let status = Command::new(env("CARGO")?)
        .current_dir(&root)
        .args([
            "build",
            "--release",
            "--package",
            "postern-libos",
            "--features",
            "image",
            "--bin",
            "postern-libos",
        ])
        .args(["--target", "x86_64-unknown-linux-gnu", "--target-dir"])
        .arg(&target_dir)
        // One flag a field: a path may hold spaces.
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env("CARGO_PROFILE_RELEASE_LTO", "thin")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTC_WRAPPER")
        .status()
        .map_err(|e| format!("cargo did not start: {e}"))?;
    if !status.success() {
        return Err("the library OS image did not build".into());
    }
    let image = target_dir.join("x86_64-unknown-linux-gnu/release/postern-libos");
    check(&image)?;
    println!("cargo::rustc-env=POSTERN_IMAGE={}", image.display());
    Ok(())
}

fn check(image: &Path) -> Result<(), String> {
    match std::fs::metadata(image) {
        Ok(m) if m.len() > 0 => Ok(()),
        Ok(_) => Err(format!("{}: empty", image.display())),
        Err(e) => Err(format!("{}: {e}", image.display())),
    }
}
