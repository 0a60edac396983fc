//! Compiles the seccomp policy, `assets/seccomp.json`, into the filter that the monitor hands to each family.

#[path = "src/policy.rs"]
mod policy;

use postern_abi::layout::{GATE_BASE, GATE_SIZE};
use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    let source = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../assets/seccomp.json");
    println!("cargo::rerun-if-changed={}", source.display());
    let policy: policy::Policy = serde_json::from_slice(&fs::read(&source)?)?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let start = u64::try_from(GATE_BASE)?;
    let gate = start..start + u64::try_from(GATE_SIZE)?;
    fs::write(out.join("filter.bin"), policy::compile(&policy, gate.clone(), &[])?)?;
    // Without a PID namespace a signal could reach any process of the user.
    fs::write(out.join("filter-no-signals.bin"), policy::compile(&policy, gate, &["tgkill"])?)?;
    let mut table = String::from("&[\n");
    for call in &policy.calls {
        writeln!(
            table,
            "    HostCall {{ name: {:?}, number: {}, why: {:?} }},",
            call.name, call.number, call.why
        )?;
    }
    table.push(']');
    fs::write(out.join("host_calls.rs"), table)?;
    Ok(())
}
