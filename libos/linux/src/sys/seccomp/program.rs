//! Classic BPF as seccomp(2) allows it: what a program may be, and what it answers.

use crate::{Errno, Result};
use alloc::vec::Vec;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Most instructions of one program (`BPF_MAXINSNS`).
pub const MAX_LEN: usize = 4096;
/// Words of scratch memory.
const MEMORY: usize = 16;
/// Bytes of `struct seccomp_data`.
pub const DATA_SIZE: u32 = 64;

/// `struct sock_filter`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// Instructions to skip if the condition holds.
    pub if_true: u8,
    /// Instructions to skip if not.
    pub if_false: u8,
    /// Constant, offset or index.
    pub k: u32,
}

/// Codes of linux/bpf_common.h and linux/filter.h, put together.
mod code {
    pub const LD_W_ABS: u16 = 0x20;
    pub const LD_W_LEN: u16 = 0x80;
    pub const LD_IMM: u16 = 0x00;
    pub const LD_MEM: u16 = 0x60;
    pub const LDX_W_LEN: u16 = 0x81;
    pub const LDX_IMM: u16 = 0x01;
    pub const LDX_MEM: u16 = 0x61;
    pub const ST: u16 = 0x02;
    pub const STX: u16 = 0x03;
    pub const ADD_K: u16 = 0x04;
    pub const ADD_X: u16 = 0x0c;
    pub const SUB_K: u16 = 0x14;
    pub const SUB_X: u16 = 0x1c;
    pub const MUL_K: u16 = 0x24;
    pub const MUL_X: u16 = 0x2c;
    pub const DIV_K: u16 = 0x34;
    pub const DIV_X: u16 = 0x3c;
    pub const OR_K: u16 = 0x44;
    pub const OR_X: u16 = 0x4c;
    pub const AND_K: u16 = 0x54;
    pub const AND_X: u16 = 0x5c;
    pub const LSH_K: u16 = 0x64;
    pub const LSH_X: u16 = 0x6c;
    pub const RSH_K: u16 = 0x74;
    pub const RSH_X: u16 = 0x7c;
    pub const NEG: u16 = 0x84;
    pub const XOR_K: u16 = 0xa4;
    pub const XOR_X: u16 = 0xac;
    pub const JA: u16 = 0x05;
    pub const JEQ_K: u16 = 0x15;
    pub const JEQ_X: u16 = 0x1d;
    pub const JGT_K: u16 = 0x25;
    pub const JGT_X: u16 = 0x2d;
    pub const JGE_K: u16 = 0x35;
    pub const JGE_X: u16 = 0x3d;
    pub const JSET_K: u16 = 0x45;
    pub const JSET_X: u16 = 0x4d;
    pub const RET_K: u16 = 0x06;
    pub const RET_A: u16 = 0x16;
    pub const TAX: u16 = 0x07;
    pub const TXA: u16 = 0x87;
}

/// A program that was checked: it ends, and reads nothing but the call and what it wrote itself.
pub struct Program(Vec<Instruction>);

impl Program {
    /// Checks a program as Linux does.
    ///
    /// # Errors
    /// `EINVAL` if it is empty or too long, has an instruction that seccomp does not know, a load outside or across the
    /// words of `struct seccomp_data`, a jump out of the program, a division by a constant 0, a shift by 32 or more, a
    /// read of scratch memory that was not written on every way there, or does not end in a return.
    pub fn new(instructions: Vec<Instruction>) -> Result<Self> {
        let len = instructions.len();
        if len == 0 || len > MAX_LEN {
            return Err(Errno::EINVAL);
        }
        // Which words of the scratch memory every way to an instruction has written; all, where no way was seen yet.
        let mut written = alloc::vec![u16::MAX; len];
        let mut now = 0u16;
        for (at, instruction) in instructions.iter().enumerate() {
            let Instruction { code, if_true, if_false, k } = *instruction;
            now &= written.get(at).copied().unwrap_or(u16::MAX);
            let mut jump = |skip: usize| match written.get_mut(at + 1 + skip) {
                Some(there) => {
                    *there &= now;
                    Ok(())
                }
                None => Err(Errno::EINVAL),
            };
            match code {
                code::LD_W_ABS if k >= DATA_SIZE || k % 4 != 0 => return Err(Errno::EINVAL),
                code::DIV_K if k == 0 => return Err(Errno::EINVAL),
                code::LSH_K | code::RSH_K if k >= 32 => return Err(Errno::EINVAL),
                code::ST | code::STX => now |= bit(k)?,
                code::LD_MEM | code::LDX_MEM if now & bit(k)? == 0 => return Err(Errno::EINVAL),
                code::JA => {
                    jump(usize::try_from(k).map_err(|_| Errno::EINVAL)?)?;
                    now = u16::MAX;
                }
                code::JEQ_K
                | code::JEQ_X
                | code::JGT_K
                | code::JGT_X
                | code::JGE_K
                | code::JGE_X
                | code::JSET_K
                | code::JSET_X => {
                    jump(if_true.into())?;
                    jump(if_false.into())?;
                    now = u16::MAX;
                }
                code::LD_W_ABS
                | code::LD_W_LEN
                | code::LD_IMM
                | code::LD_MEM
                | code::LDX_W_LEN
                | code::LDX_IMM
                | code::LDX_MEM
                | code::ADD_K
                | code::ADD_X
                | code::SUB_K
                | code::SUB_X
                | code::MUL_K
                | code::MUL_X
                | code::DIV_K
                | code::DIV_X
                | code::OR_K
                | code::OR_X
                | code::AND_K
                | code::AND_X
                | code::LSH_K
                | code::LSH_X
                | code::RSH_K
                | code::RSH_X
                | code::NEG
                | code::XOR_K
                | code::XOR_X
                | code::RET_K
                | code::RET_A
                | code::TAX
                | code::TXA => {}
                _ => return Err(Errno::EINVAL),
            }
        }
        match instructions.last() {
            Some(last) if matches!(last.code, code::RET_K | code::RET_A) => Ok(Self(instructions)),
            _ => Err(Errno::EINVAL),
        }
    }

    /// How many instructions it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// What it answers to a call, given as the words of `struct seccomp_data`.
    #[must_use]
    pub fn run(&self, data: &[u32; 16]) -> u32 {
        let (mut a, mut x, mut memory) = (0u32, 0u32, [0u32; MEMORY]);
        let mut at = 0;
        let cell = |k: u32| usize::try_from(k).unwrap_or(MEMORY);
        // Jumps only lead forward, so this ends.
        while let Some(instruction) = self.0.get(at) {
            let Instruction { code, if_true, if_false, k } = *instruction;
            let mut skip = 0;
            let mut jump = |holds: bool| skip = usize::from(if holds { if_true } else { if_false });
            match code {
                code::LD_W_ABS => a = data.get(cell(k / 4)).copied().unwrap_or(0),
                code::LD_W_LEN => a = DATA_SIZE,
                code::LDX_W_LEN => x = DATA_SIZE,
                code::LD_IMM => a = k,
                code::LDX_IMM => x = k,
                code::LD_MEM => a = memory.get(cell(k)).copied().unwrap_or(0),
                code::LDX_MEM => x = memory.get(cell(k)).copied().unwrap_or(0),
                code::ST | code::STX => {
                    if let Some(word) = memory.get_mut(cell(k)) {
                        *word = if code == code::ST { a } else { x };
                    }
                }
                code::ADD_K => a = a.wrapping_add(k),
                code::ADD_X => a = a.wrapping_add(x),
                code::SUB_K => a = a.wrapping_sub(k),
                code::SUB_X => a = a.wrapping_sub(x),
                code::MUL_K => a = a.wrapping_mul(k),
                code::MUL_X => a = a.wrapping_mul(x),
                code::DIV_K | code::DIV_X => match a.checked_div(if code == code::DIV_K { k } else { x }) {
                    Some(quotient) => a = quotient,
                    // As Linux: the whole program answers 0.
                    None => return 0,
                },
                code::OR_K => a |= k,
                code::OR_X => a |= x,
                code::AND_K => a &= k,
                code::AND_X => a &= x,
                code::LSH_K => a = a.wrapping_shl(k),
                code::LSH_X => a = a.wrapping_shl(x),
                code::RSH_K => a = a.wrapping_shr(k),
                code::RSH_X => a = a.wrapping_shr(x),
                code::NEG => a = a.wrapping_neg(),
                code::XOR_K => a ^= k,
                code::XOR_X => a ^= x,
                code::JA => skip = usize::try_from(k).unwrap_or(usize::MAX),
                code::JEQ_K => jump(a == k),
                code::JEQ_X => jump(a == x),
                code::JGT_K => jump(a > k),
                code::JGT_X => jump(a > x),
                code::JGE_K => jump(a >= k),
                code::JGE_X => jump(a >= x),
                code::JSET_K => jump(a & k != 0),
                code::JSET_X => jump(a & x != 0),
                code::RET_K => return k,
                code::RET_A => return a,
                code::TAX => x = a,
                code::TXA => a = x,
                // Not in a program that was checked.
                _ => return 0,
            }
            at = at.saturating_add(1).saturating_add(skip);
        }
        0
    }
}

fn bit(k: u32) -> Result<u16> {
    1u16.checked_shl(k).ok_or(Errno::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(code: u16, if_true: u8, if_false: u8, k: u32) -> Instruction {
        Instruction { code, if_true, if_false, k }
    }

    fn answer(instructions: &[Instruction], data: [u32; 16]) -> Result<u32> {
        Program::new(instructions.to_vec()).map(|program| program.run(&data))
    }

    #[test]
    fn a_call_is_told_from_another() {
        let program = [
            op(code::LD_W_ABS, 0, 0, 0),
            op(code::JEQ_K, 0, 1, 39),
            op(code::RET_K, 0, 0, 1),
            op(code::RET_K, 0, 0, 2),
        ];
        let mut data = [0; 16];
        data[0] = 39;
        assert_eq!(answer(&program, data), Ok(1));
        assert_eq!(answer(&program, [0; 16]), Ok(2));
    }

    #[test]
    fn arithmetic_and_scratch_memory() {
        let program = [
            op(code::LD_IMM, 0, 0, 7),
            op(code::ST, 0, 0, 3),
            op(code::LDX_MEM, 0, 0, 3),
            op(code::MUL_X, 0, 0, 0),
            op(code::SUB_K, 0, 0, 50),
            op(code::NEG, 0, 0, 0),
            op(code::LSH_K, 0, 0, 4),
            op(code::RET_A, 0, 0, 0),
        ];
        assert_eq!(answer(&program, [0; 16]), Ok(16));
        let by_zero = [op(code::LDX_IMM, 0, 0, 0), op(code::DIV_X, 0, 0, 0), op(code::RET_K, 0, 0, 9)];
        assert_eq!(answer(&by_zero, [0; 16]), Ok(0));
    }

    #[test]
    fn what_linux_refuses_is_refused() {
        let ret = op(code::RET_K, 0, 0, 0);
        for program in [
            &[][..],
            &[op(code::LD_IMM, 0, 0, 0)],
            &[op(code::LD_W_ABS, 0, 0, 64), ret],
            &[op(code::LD_W_ABS, 0, 0, 2), ret],
            &[op(code::JA, 0, 0, 1), ret],
            &[op(code::JA, 0, 0, u32::MAX), ret],
            &[op(code::JEQ_K, 0, 1, 0), ret],
            &[op(code::JEQ_K, 255, 0, 0), ret],
            &[op(code::DIV_K, 0, 0, 0), ret],
            &[op(code::LSH_K, 0, 0, 32), ret],
            &[op(code::ST, 0, 0, 16), ret],
            &[op(code::LD_MEM, 0, 0, 1), ret],
            // Loads of bytes and half words, and from a packet.
            &[op(0x28, 0, 0, 0), ret],
            &[op(0x30, 0, 0, 0), ret],
            &[op(0x40, 0, 0, 0), ret],
            &[op(0x94, 0, 0, 1), ret],
        ] {
            assert_eq!(answer(program, [0; 16]), Err(Errno::EINVAL), "{program:?}");
        }
        assert!(Program::new(alloc::vec![ret; MAX_LEN]).is_ok());
        assert!(Program::new(alloc::vec![ret; MAX_LEN + 1]).is_err());
        // Written on one of two ways only.
        let one_way = [op(code::JEQ_K, 0, 1, 0), op(code::ST, 0, 0, 0), op(code::LD_MEM, 0, 0, 0), ret];
        assert_eq!(answer(&one_way, [0; 16]), Err(Errno::EINVAL));
    }
}
