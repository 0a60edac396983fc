// Reads the seccomp policy (assets/seccomp.json) and compiles it. Shared by the build script, which embeds the result,
// and the tests, which compile the same policy for a gate of their own.

use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
    sock_filter,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::error::Error;
use std::ops::Range;

/// The policy file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// For the reader.
    #[serde(rename = "comment")]
    pub _comment: Vec<String>,
    /// The calls.
    pub calls: Vec<Call>,
}

/// A host system call that is allowed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// Name.
    pub name: String,
    /// Number on x86-64.
    pub number: i64,
    /// What it is for.
    pub why: String,
    /// Rules, all of which must hold.
    #[serde(default)]
    pub args: Vec<Rule>,
}

/// What an argument may be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which argument, from 0.
    pub index: u8,
    /// Bits of it that the host reads.
    pub bits: u8,
    /// Flag bits that may be set.
    #[serde(default)]
    pub only: Option<BTreeMap<String, u64>>,
    /// Values that it may have.
    #[serde(default)]
    pub one_of: Option<BTreeMap<String, u64>>,
    /// Bits that are cleared before `one_of` is looked at.
    #[serde(default)]
    pub ignoring: BTreeMap<String, u64>,
}

impl Rule {
    fn mask(&self) -> u64 {
        if self.bits == 32 { u64::from(u32::MAX) } else { u64::MAX }
    }

    /// The conditions of which one must hold.
    fn alternatives(&self) -> Result<Vec<SeccompCondition>, Box<dyn Error>> {
        let len = match self.bits {
            32 => SeccompCmpArgLen::Dword,
            64 => SeccompCmpArgLen::Qword,
            other => return Err(format!("an argument has 32 or 64 bits, not {other}").into()),
        };
        let condition = |op, value| SeccompCondition::new(self.index, len.clone(), op, value);
        let ignored = self.ignoring.values().fold(0, |all, bit| all | bit);
        Ok(match (&self.only, &self.one_of) {
            (Some(only), None) if ignored == 0 => {
                let allowed = only.values().fold(0, |all, bit| all | bit);
                vec![condition(SeccompCmpOp::MaskedEq(!allowed & self.mask()), 0)?]
            }
            (None, Some(values)) => values
                .values()
                .map(|value| condition(SeccompCmpOp::MaskedEq(!ignored & self.mask()), *value))
                .collect::<Result<_, _>>()?,
            _ => return Err("a rule has either only or one_of".into()),
        })
    }
}

/// Compiles the calls of `policy`, except `without`, for system calls issued from the addresses of `gate`.
///
/// # Errors
/// If the policy is malformed.
pub fn compile(policy: &Policy, gate: Range<u64>, without: &[&str]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut rules = BTreeMap::new();
    for call in policy.calls.iter().filter(|call| !without.contains(&call.name.as_str())) {
        // One seccompiler rule for each combination of alternatives.
        let mut chains: Vec<Vec<SeccompCondition>> = vec![Vec::new()];
        for rule in &call.args {
            let alternatives = rule.alternatives().map_err(|error| format!("{}: {error}", call.name))?;
            chains = chains
                .iter()
                .flat_map(|chain| {
                    alternatives.iter().map(|one| chain.iter().cloned().chain([one.clone()]).collect())
                })
                .collect();
        }
        let list = if call.args.is_empty() {
            Vec::new()
        } else {
            chains.into_iter().map(SeccompRule::new).collect::<Result<_, _>>()?
        };
        if rules.insert(call.number, list).is_some() {
            return Err(format!("{} is listed twice", call.name).into());
        }
    }
    const EPERM: u32 = 1;
    let filter =
        SeccompFilter::new(rules, SeccompAction::Errno(EPERM), SeccompAction::Allow, TargetArch::x86_64)?;
    let inside: Vec<sock_filter> = filter.try_into()?;
    let mut program = gate_check(gate)?;
    program.extend(inside);
    if program.len() > 4096 {
        return Err("the filter is longer than the host takes".into());
    }
    let bytes = |i: sock_filter| {
        let [c0, c1] = i.code.to_le_bytes();
        let [k0, k1, k2, k3] = i.k.to_le_bytes();
        [c0, c1, i.jt, i.jf, k0, k1, k2, k3]
    };
    Ok(program.into_iter().flat_map(bytes).collect())
}

/// The beginning of the filter: calls of another architecture and calls from outside the gate trap. The
/// instruction pointer that a filter sees is that of the instruction after the two bytes of `syscall`.
fn gate_check(gate: Range<u64>) -> Result<Vec<sock_filter>, Box<dyn Error>> {
    const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    const JUMP_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const JUMP_NOT_LESS: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    const ARCH: u32 = 4; // offsets in struct seccomp_data
    const POINTER_LOW: u32 = 8;
    const POINTER_HIGH: u32 = 12;
    const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;
    const TRAP: u32 = 0x0003_0000;
    let first = gate.start + 2;
    let high = u32::try_from(first >> 32)?;
    if u64::from(high) != gate.end >> 32 {
        return Err("the gate crosses a 4 GiB boundary".into());
    }
    let (low, past) = (u32::try_from(first & 0xffff_ffff)?, u32::try_from(gate.end & 0xffff_ffff)? + 1);
    let op = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    Ok(vec![
        op(LOAD, 0, 0, ARCH),
        op(JUMP_EQUAL, 1, 0, AUDIT_ARCH_X86_64),
        op(RETURN, 0, 0, TRAP),
        op(LOAD, 0, 0, POINTER_HIGH),
        op(JUMP_EQUAL, 0, 3, high),
        op(LOAD, 0, 0, POINTER_LOW),
        op(JUMP_NOT_LESS, 0, 1, low),
        op(JUMP_NOT_LESS, 0, 1, past),
        op(RETURN, 0, 0, TRAP),
    ])
}
