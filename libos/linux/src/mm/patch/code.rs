//! Reading the code around a call: what comes before it, where there is room behind it, and what changes when code moves.

use crate::{Errno, Result};
use alloc::vec::Vec;
use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic};

/// Bytes between the `mov` of a call's number and its `syscall` that are copied at most.
pub(super) const MAX_BETWEEN: usize = 32;
/// How many readings of the code before a call are asked where instructions begin: more than three of four that make
/// sense must agree.
pub(super) const BEGINNINGS: usize = 12;

/// The place in `code`, which begins at `start` and ends where a `syscall` stands, of a `mov` of `number` to a 32-bit
/// register, if all behind it runs straight to the `syscall`.
pub(super) fn lead_in_of(code: &[u8], start: u64, number: u64) -> Option<usize> {
    let is_move = |at: usize| {
        let Some(&[before, opcode, a, b, c, d]) = code.get(at - 1..at + 5) else { return false };
        // A REX prefix would make it another register; a byte that only looks like one is not worth the risk.
        (0xb8..0xc0).contains(&opcode)
            && u64::from(u32::from_le_bytes([a, b, c, d])) == number
            && !(0x40..0x50).contains(&before)
    };
    let last = code.len().checked_sub(5)?;
    let at = (last.saturating_sub(MAX_BETWEEN).max(1)..=last).rev().find(|at| is_move(*at))?;
    if at == last {
        return (code.get(at) == Some(&0xb8)).then_some(at);
    }
    let runs_straight_on = straight(code.get(at..)?, start + at as u64);
    // The same bytes may be part of other instructions: readings that begin earlier must come to them as well. They
    // fall into step with the code after a few instructions, wherever they begin.
    let readings = (0..at.min(BEGINNINGS)).filter_map(|begin| reaches(code.get(begin..)?, at - begin));
    let (all, in_step) = readings.fold((0, 0), |(all, step), reached| (all + 1, step + usize::from(reached)));
    (runs_straight_on && at >= 2 * BEGINNINGS && in_step * 4 > all * 3).then_some(at)
}

/// Whether `code` consists of instructions that run one after the other and can be copied elsewhere.
fn straight(code: &[u8], start: u64) -> bool {
    let mut decoder = Decoder::with_ip(64, code, start, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        if instruction.is_invalid() || instruction.flow_control() != FlowControl::Next {
            return false;
        }
    }
    true
}

/// Whether an instruction begins at `at` if `code` is read from its beginning; `None` if it makes no sense then.
fn reaches(code: &[u8], at: usize) -> Option<bool> {
    let mut decoder = Decoder::new(64, code, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    while decoder.position() < at {
        decoder.decode_out(&mut instruction);
        if instruction.is_invalid() {
            return None;
        }
    }
    Some(decoder.position() == at)
}

/// Makes `code`, which was written for the address `from`, right for the address `to`: addresses relative to the
/// instruction are the only thing that changes.
pub(super) fn move_code(code: &mut [u8], from: usize, to: usize) -> Result<()> {
    let original = code.to_vec();
    let mut decoder = Decoder::with_ip(64, &original, from as u64, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    let moved = i32::try_from(to.cast_signed() - from.cast_signed()).map_err(|_| Errno::ERANGE)?;
    while decoder.can_decode() {
        let begin = decoder.position();
        decoder.decode_out(&mut instruction);
        if !instruction.is_ip_rel_memory_operand() {
            continue;
        }
        let at = begin + decoder.get_constant_offsets(&instruction).displacement_offset();
        let field = code.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<4>()).ok_or(Errno::EINVAL)?;
        *field = i32::from_le_bytes(*field).checked_sub(moved).ok_or(Errno::ERANGE)?.to_le_bytes();
    }
    Ok(())
}

/// The address of five bytes of padding behind unreachable-from-above code in `code`, which begins at `start`.
pub(super) fn padding_in(code: &[u8], start: u64) -> Option<u64> {
    let mut decoder = Decoder::with_ip(64, code, start, DecoderOptions::NONE);
    let mut targets: Vec<u64> = Vec::new();
    let mut reachable = true;
    let mut run_start = 0;
    let mut instruction = Instruction::default();
    while decoder.can_decode() {
        decoder.decode_out(&mut instruction);
        let (at, next) = (instruction.ip(), instruction.next_ip());
        if instruction.is_invalid() || at.wrapping_sub(start) > 122 {
            return None;
        }
        if targets.contains(&at) {
            reachable = true;
        }
        if !reachable {
            let is_padding = matches!(instruction.mnemonic(), Mnemonic::Nop | Mnemonic::Int3);
            if !is_padding {
                return None;
            }
            if next - run_start >= 5 && !targets.iter().any(|t| (run_start..next).contains(t)) {
                // Reachable by an 8-bit displacement from the end of the `syscall`.
                return (run_start - start <= 127).then_some(run_start);
            }
            continue;
        }
        match instruction.flow_control() {
            FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch => {
                targets.push(instruction.near_branch_target());
                reachable = instruction.flow_control() == FlowControl::ConditionalBranch;
            }
            FlowControl::Return | FlowControl::IndirectBranch => reachable = false,
            FlowControl::Exception | FlowControl::Interrupt => return None,
            _ => {}
        }
        run_start = next;
    }
    None
}

/// A jump of five bytes at `from` to `to`.
pub(super) fn near_jump(from: usize, to: usize) -> Result<[u8; 5]> {
    let delta = to.cast_signed() - (from + 5).cast_signed();
    let [a, b, c, d] = i32::try_from(delta).map_err(|_| Errno::ERANGE)?.to_le_bytes();
    Ok([0xe9, a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_behind_a_return_is_found() {
        // cmp rax, -4096; ja +1; ret; neg eax; ret; nop × 5
        let code = [
            0x48, 0x3d, 0, 0xf0, 0xff, 0xff, 0x77, 0x01, 0xc3, 0xf7, 0xd8, 0xc3, 0x66, 0x90, 0x0f, 0x1f, 0x00,
        ];
        assert_eq!(padding_in(&code, 0x1000), Some(0x100c));
    }

    /// `mov ecx, ecx` (harmless code of two bytes) before `code`.
    fn after_other_code(code: &[u8]) -> Vec<u8> {
        [[0x89, 0xc9].repeat(24).as_slice(), code].concat()
    }

    #[test]
    fn code_that_runs_straight_to_a_call_is_found() {
        // mov eax, 14
        assert_eq!(lead_in_of(&after_other_code(&[0xb8, 14, 0, 0, 0]), 0x1000, 14), Some(48));
        assert_eq!(lead_in_of(&[0x90, 0xb8, 14, 0, 0, 0], 0x1000, 14), Some(1));
        // mov eax, 14; lea rsi, [rip + 0x1178dd]
        let with_argument = [0xb8, 14, 0, 0, 0, 0x48, 0x8d, 0x35, 0xdd, 0x78, 0x11, 0];
        assert_eq!(lead_in_of(&after_other_code(&with_argument), 0x1000, 14), Some(48));
        assert_eq!(lead_in_of(&after_other_code(&with_argument), 0x1000, 15), None);
        // mov edx, 60; xor edi, edi; mov eax, edx
        let other_register = [0xba, 60, 0, 0, 0, 0x31, 0xff, 0x89, 0xd0];
        assert_eq!(lead_in_of(&after_other_code(&other_register), 0x1000, 60), Some(48));
    }

    #[test]
    fn readings_fall_into_step() {
        // Calls, jumps and moves of all lengths before `mov edx, 60; nop; xor edi, edi; mov eax, edx`; the first two bytes
        // are the end of another instruction.
        let code = [
            0x11, 0x00, 0xe8, 0x6a, 0x62, 0xff, 0xff, 0x48, 0x89, 0xdf, 0xe8, 0xd2, 0xce, 0xff, 0xff, 0xe9,
            0x4c, 0xfd, 0xff, 0xff, 0x48, 0x8b, 0x44, 0x24, 0x08, 0x48, 0x8b, 0xb8, 0x40, 0x06, 0x00, 0x00,
            0xff, 0x90, 0x38, 0x06, 0x00, 0x00, 0xe9, 0x28, 0xfe, 0xff, 0xff, 0x31, 0xf6, 0x83, 0xe8, 0x01,
            0x0f, 0x8f, 0x96, 0x00, 0x00, 0x00, 0xba, 0x3c, 0x00, 0x00, 0x00, 0x66, 0x90, 0x31, 0xff, 0x89,
            0xd0,
        ];
        assert_eq!(lead_in_of(&code, 0x1000, 60), Some(54));
    }

    #[test]
    fn code_that_may_be_something_else_is_left_alone() {
        // mov r8d, 14
        assert_eq!(lead_in_of(&after_other_code(&[0x41, 0xb8, 14, 0, 0, 0]), 0x1000, 14), None);
        // mov eax, 14; jz +0
        assert_eq!(lead_in_of(&after_other_code(&[0xb8, 14, 0, 0, 0, 0x74, 0]), 0x1000, 14), None);
        // mov eax, 14; call +0
        assert_eq!(lead_in_of(&after_other_code(&[0xb8, 14, 0, 0, 0, 0xe8, 0, 0, 0, 0]), 0x1000, 14), None);
        // lea rsi, [rax + 0xeb8]; add [rax], al: the bytes of a mov, but inside other instructions.
        let inside = [0x48, 0x8d, 0xb0, 0xb8, 14, 0, 0, 0, 0, 0x31, 0xff];
        assert_eq!(lead_in_of(&after_other_code(&inside), 0x1000, 14), None);
        // Too little code before it to be sure.
        assert_eq!(lead_in_of(&[0x90, 0xb8, 14, 0, 0, 0, 0x31, 0xff], 0x1000, 14), None);
    }

    #[test]
    fn moved_code_reaches_the_same_addresses() {
        // xor edi, edi; lea rsi, [rip + 0x100]
        let mut code = [0x31, 0xff, 0x48, 0x8d, 0x35, 0, 1, 0, 0];
        move_code(&mut code, 0x2000, 0x1f80).unwrap();
        assert_eq!(code, [0x31, 0xff, 0x48, 0x8d, 0x35, 0x80, 1, 0, 0]);
        assert!(move_code(&mut code, 0x2000, 0x2000 + (1 << 40)).is_err());
    }

    #[test]
    fn reachable_or_short_padding_is_left_alone() {
        // nop × 5 that is fallen into, then a return.
        assert_eq!(padding_in(&[0x90, 0x90, 0x90, 0x90, 0x90, 0xc3], 0x1000), None);
        // Padding that a branch leads to.
        let code = [0x74, 0x01, 0xc3, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xc3, 0x01];
        assert_eq!(padding_in(&code, 0x1000), None);
        // Only three bytes before other code.
        assert_eq!(padding_in(&[0xc3, 0x90, 0x90, 0x90, 0x55, 0xc3], 0x1000), None);
        // Data behind an indirect jump.
        assert_eq!(padding_in(&[0xff, 0xe0, 0x11, 0x22, 0xc3, 0x90, 0x90, 0x90, 0x90, 0x90], 0x1000), None);
    }
}
