//! The compiler: rules by name become, for each architecture, ranges of numbers with one answer, and these a tree.

use super::{Program, numbers};
use oci::runtime::{Seccomp, SyscallArgument, SyscallRule};
use std::collections::BTreeMap;
use sys::seccomp::Instruction;

/// Why a profile cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    /// An action we do not have.
    #[error("action {action:?} is not supported")]
    Action {
        /// Which.
        action: String,
    },
    /// A comparison we do not have.
    #[error("comparison {op:?} of an argument is not known")]
    Comparison {
        /// Which.
        op: String,
    },
    /// An argument that system calls do not have.
    #[error("argument {index} does not exist: system calls have six, counted from 0")]
    Argument {
        /// Which.
        index: u32,
    },
    /// An architecture we do not have.
    #[error("architecture {architecture:?} is not supported")]
    Architecture {
        /// Which.
        architecture: String,
    },
    /// A flag we do not have.
    #[error("flag {flag:?} is not supported")]
    Flag {
        /// Which.
        flag: String,
    },
    /// More than the kernel takes.
    #[error("the filter has {count} instructions, and the kernel takes 4096")]
    TooLong {
        /// How many.
        count: usize,
    },
}

// linux/bpf_common.h and linux/seccomp.h
const LD_W_ABS: u16 = 0x20;
const JMP_JA: u16 = 0x05;
const JMP_JEQ_K: u16 = 0x15;
const JMP_JGT_K: u16 = 0x25;
const JMP_JGE_K: u16 = 0x35;
const ALU_AND_K: u16 = 0x54;
const RET_K: u16 = 0x06;
const OFFSET_NUMBER: u32 = 0;
const OFFSET_ARCHITECTURE: u32 = 4;
const OFFSET_ARGUMENTS: u32 = 16;
const X32_BIT: u32 = 0x4000_0000;
const KILL_THREAD: u32 = 0;
const ALLOW: u32 = 0x7fff_0000;

/// What happens to one system call: conditions tried in order, then a last word.
#[derive(Debug, Clone, PartialEq, Default)]
struct Answer {
    conditional: Vec<(Vec<SyscallArgument>, u32)>,
    otherwise: u32,
}

/// Compiles a profile. System calls unknown on an architecture are left out, as libseccomp does.
pub fn compile(seccomp: &Seccomp) -> Result<Program, CompileError> {
    let default = action(&seccomp.default_action, seccomp.default_errno_ret)?;
    let rules = seccomp.syscalls.iter().map(|rule| Ok((rule, action(&rule.action, rule.errno_ret)?))).collect::<Result<Vec<_>, _>>()?;
    for argument in seccomp.syscalls.iter().flat_map(|rule| &rule.args) {
        if argument.index > 5 {
            return Err(CompileError::Argument { index: argument.index });
        }
    }
    let native = super::native_architectures();
    let architectures = if seccomp.architectures.is_empty() { &native[..1] } else { &seccomp.architectures[..] };
    let mut by_audit: BTreeMap<u32, BTreeMap<u32, Answer>> = BTreeMap::new();
    for name in architectures {
        let Some((audit, table, bit)) = architecture(name)? else { continue };
        let numbers: &mut BTreeMap<u32, Answer> = by_audit.entry(audit).or_default();
        collect(table, bit, &rules, default, numbers);
    }
    let mut code = vec![load(OFFSET_ARCHITECTURE)];
    for (audit, numbers) in &by_audit {
        let mut section = vec![load(OFFSET_NUMBER)];
        let ranges = ranges(numbers, default);
        emit_tree(&ranges, &mut section)?;
        code.push(jump(JMP_JEQ_K, *audit, 1, 0));
        code.push(Instruction { code: JMP_JA, jump_true: 0, jump_false: 0, operand: section.len() as u32 });
        code.append(&mut section);
    }
    // An architecture nobody spoke of.
    code.push(answer(KILL_THREAD));
    if code.len() > 4096 {
        return Err(CompileError::TooLong { count: code.len() });
    }
    Ok(Program { instructions: code, flags: flags(&seccomp.flags)? })
}

fn collect(table: &[(&str, u32)], bit: u32, rules: &[(&SyscallRule, u32)], default: u32, numbers: &mut BTreeMap<u32, Answer>) {
    for (rule, action) in rules {
        for name in &rule.names {
            let Ok(at) = table.binary_search_by(|(known, _)| known.cmp(&name.as_str())) else { continue };
            let entry = numbers.entry(table[at].1 | bit).or_insert_with(|| Answer { conditional: Vec::new(), otherwise: u32::MAX });
            if rule.args.is_empty() {
                // The first word without conditions stands, and makes conditions pointless.
                if entry.otherwise == u32::MAX {
                    entry.otherwise = *action;
                }
            } else {
                entry.conditional.push((rule.args.clone(), *action));
            }
        }
    }
    for entry in numbers.values_mut() {
        if entry.otherwise == u32::MAX {
            entry.otherwise = default;
        } else if entry.otherwise == ALLOW {
            entry.conditional.clear();
        }
    }
}

/// Neighbouring numbers with the same answer become one range, given by its first number.
fn ranges(numbers: &BTreeMap<u32, Answer>, default: u32) -> Vec<(u32, Answer)> {
    let plain = Answer { conditional: Vec::new(), otherwise: default };
    let mut ranges: Vec<(u32, Answer)> = vec![(0, plain.clone())];
    let mut push = |start: u32, answer: &Answer| match ranges.last_mut() {
        Some((_, last)) if last == answer => {}
        Some((at, last)) if *at == start => *last = answer.clone(),
        _ => ranges.push((start, answer.clone())),
    };
    let mut next = 0;
    for (&number, answer) in numbers {
        if number > next {
            push(next, &plain);
        }
        push(number, answer);
        next = number + 1;
    }
    push(next, &plain);
    ranges.dedup_by(|b, a| a.1 == b.1);
    ranges
}

fn emit_tree(ranges: &[(u32, Answer)], code: &mut Vec<Instruction>) -> Result<(), CompileError> {
    if let [(_, only)] = ranges {
        return emit_answer(only, code);
    }
    let middle = ranges.len() / 2;
    let (mut left, mut right) = (Vec::new(), Vec::new());
    emit_tree(&ranges[..middle], &mut left)?;
    emit_tree(&ranges[middle..], &mut right)?;
    let first_right = ranges[middle].0;
    match u8::try_from(left.len()) {
        Ok(distance) => code.push(jump(JMP_JGE_K, first_right, distance, 0)),
        Err(_) => {
            // Conditional jumps reach 255; a long one goes by way of an unconditional one.
            code.push(jump(JMP_JGE_K, first_right, 0, 1));
            code.push(Instruction { code: JMP_JA, jump_true: 0, jump_false: 0, operand: left.len() as u32 });
        }
    }
    code.append(&mut left);
    code.append(&mut right);
    Ok(())
}

fn emit_answer(wanted: &Answer, code: &mut Vec<Instruction>) -> Result<(), CompileError> {
    for (conditions, action) in &wanted.conditional {
        let mut block = Vec::new();
        for condition in conditions.iter().rev() {
            let rest = std::mem::take(&mut block);
            // What follows when this holds: the rest, then the answer; when not, past both.
            let skip = rest.len() as u8 + 1;
            block = condition_code(condition, skip)?;
            block.extend(rest);
        }
        block.push(answer(*action));
        code.append(&mut block);
    }
    code.push(answer(wanted.otherwise));
    Ok(())
}

/// Falls through when the condition holds, else jumps over `skip` instructions after itself.
fn condition_code(condition: &SyscallArgument, skip: u8) -> Result<Vec<Instruction>, CompileError> {
    let (low, high) = (OFFSET_ARGUMENTS + 8 * condition.index, OFFSET_ARGUMENTS + 8 * condition.index + 4);
    let (low, high) = if cfg!(target_endian = "big") { (high, low) } else { (low, high) };
    let halves = |value: u64| (value as u32, (value >> 32) as u32);
    let (value_low, value_high) = halves(condition.value);
    Ok(match condition.op.as_str() {
        "SCMP_CMP_EQ" => vec![load(high), jump(JMP_JEQ_K, value_high, 0, skip + 2), load(low), jump(JMP_JEQ_K, value_low, 0, skip)],
        "SCMP_CMP_NE" => vec![load(high), jump(JMP_JEQ_K, value_high, 0, 2), load(low), jump(JMP_JEQ_K, value_low, skip, 0)],
        "SCMP_CMP_MASKED_EQ" => {
            // OCI gives the mask as the value and the datum as the second one (runtime-spec config-linux.md#seccomp).
            let (mask_low, mask_high) = (value_low, value_high);
            let (datum_low, datum_high) = halves(condition.value_two);
            vec![
                load(high),
                and(mask_high),
                jump(JMP_JEQ_K, datum_high & mask_high, 0, skip + 3),
                load(low),
                and(mask_low),
                jump(JMP_JEQ_K, datum_low & mask_low, 0, skip),
            ]
        }
        "SCMP_CMP_GT" => ordered(low, high, value_low, value_high, JMP_JGT_K, true, skip),
        "SCMP_CMP_GE" => ordered(low, high, value_low, value_high, JMP_JGE_K, true, skip),
        "SCMP_CMP_LT" => ordered(low, high, value_low, value_high, JMP_JGE_K, false, skip),
        "SCMP_CMP_LE" => ordered(low, high, value_low, value_high, JMP_JGT_K, false, skip),
        other => return Err(CompileError::Comparison { op: other.to_owned() }),
    })
}

/// Compares 64 bits by halves: the high ones decide unless they are equal. `holds` tells whether the condition
/// holds when the comparison does.
fn ordered(low: u32, high: u32, value_low: u32, value_high: u32, compare: u16, holds: bool, skip: u8) -> Vec<Instruction> {
    let (on_true, on_false) = if holds { (3, skip + 3) } else { (skip + 3, 3) };
    vec![
        load(high),
        // Greater in the high half: the comparison holds.
        jump(JMP_JGT_K, value_high, on_true, 0),
        // Smaller there: it does not.
        jump(JMP_JEQ_K, value_high, 0, on_false - 1),
        load(low),
        if holds { jump(compare, value_low, 0, skip) } else { jump(compare, value_low, skip, 0) },
    ]
}

fn load(offset: u32) -> Instruction {
    Instruction { code: LD_W_ABS, jump_true: 0, jump_false: 0, operand: offset }
}

fn and(mask: u32) -> Instruction {
    Instruction { code: ALU_AND_K, jump_true: 0, jump_false: 0, operand: mask }
}

fn jump(code: u16, operand: u32, jump_true: u8, jump_false: u8) -> Instruction {
    Instruction { code, jump_true, jump_false, operand }
}

fn answer(action: u32) -> Instruction {
    Instruction { code: RET_K, jump_true: 0, jump_false: 0, operand: action }
}

/// Actions (seccomp(2), runtime-spec config-linux.md#seccomp).
fn action(name: &str, errno: Option<u32>) -> Result<u32, CompileError> {
    let errno = errno.unwrap_or(1) & 0xffff;
    Ok(match name {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => KILL_THREAD,
        "SCMP_ACT_KILL_PROCESS" => 0x8000_0000,
        "SCMP_ACT_TRAP" => 0x0003_0000,
        "SCMP_ACT_ERRNO" => 0x0005_0000 | errno,
        "SCMP_ACT_TRACE" => 0x7ff0_0000 | errno,
        "SCMP_ACT_LOG" => 0x7ffc_0000,
        "SCMP_ACT_ALLOW" => ALLOW,
        other => return Err(CompileError::Action { action: other.to_owned() }),
    })
}

/// Audit number, table and extra bit of an architecture; `None` for those this machine never executes.
#[allow(clippy::type_complexity)]
fn architecture(name: &str) -> Result<Option<(u32, &'static [(&'static str, u32)], u32)>, CompileError> {
    const AUDIT_X86_64: u32 = 0xc000_003e;
    const AUDIT_I386: u32 = 0x4000_0003;
    const AUDIT_AARCH64: u32 = 0xc000_00b7;
    Ok(match name {
        "SCMP_ARCH_X86_64" => Some((AUDIT_X86_64, &numbers::X86_64, 0)),
        "SCMP_ARCH_X32" => Some((AUDIT_X86_64, &numbers::X32, X32_BIT)),
        "SCMP_ARCH_X86" => Some((AUDIT_I386, &numbers::X86, 0)),
        "SCMP_ARCH_AARCH64" => Some((AUDIT_AARCH64, &numbers::AARCH64, 0)),
        "SCMP_ARCH_ARM"
        | "SCMP_ARCH_MIPS"
        | "SCMP_ARCH_MIPS64"
        | "SCMP_ARCH_MIPS64N32"
        | "SCMP_ARCH_MIPSEL"
        | "SCMP_ARCH_MIPSEL64"
        | "SCMP_ARCH_MIPSEL64N32"
        | "SCMP_ARCH_PPC"
        | "SCMP_ARCH_PPC64"
        | "SCMP_ARCH_PPC64LE"
        | "SCMP_ARCH_S390"
        | "SCMP_ARCH_S390X"
        | "SCMP_ARCH_PARISC"
        | "SCMP_ARCH_PARISC64"
        | "SCMP_ARCH_RISCV64" => None,
        other => return Err(CompileError::Architecture { architecture: other.to_owned() }),
    })
}

fn flags(names: &[String]) -> Result<u32, CompileError> {
    names.iter().try_fold(0, |flags, name| {
        Ok(flags
            | match name.as_str() {
                "SECCOMP_FILTER_FLAG_TSYNC" => 1,
                "SECCOMP_FILTER_FLAG_LOG" => 2,
                "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => 4,
                other => return Err(CompileError::Flag { flag: other.to_owned() }),
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::default_profile;

    /// Runs a filter as the kernel does (networking/filter.rst).
    fn run(program: &Program, number: u32, audit: u32, args: [u64; 6]) -> u32 {
        let word = |offset: u32| match offset {
            0 => number,
            4 => audit,
            o => {
                let arg = args[((o - 16) / 8) as usize];
                if (o - 16) % 8 == 0 { arg as u32 } else { (arg >> 32) as u32 }
            }
        };
        let (mut at, mut a) = (0usize, 0u32);
        loop {
            let i = program.instructions[at];
            at += 1;
            let mut branch = |holds: bool| at += usize::from(if holds { i.jump_true } else { i.jump_false });
            match i.code {
                LD_W_ABS => a = word(i.operand),
                ALU_AND_K => a &= i.operand,
                JMP_JA => at += i.operand as usize,
                JMP_JEQ_K => branch(a == i.operand),
                JMP_JGT_K => branch(a > i.operand),
                JMP_JGE_K => branch(a >= i.operand),
                RET_K => return i.operand,
                other => panic!("code {other:#x}"),
            }
        }
    }

    fn number(name: &str) -> u32 {
        numbers::X86_64.iter().find(|(known, _)| *known == name).unwrap().1
    }

    fn x86(program: &Program, name: &str, args: [u64; 6]) -> u32 {
        run(program, number(name), 0xc000_003e, args)
    }

    const EPERM: u32 = 0x0005_0001;
    const ENOSYS: u32 = 0x0005_0026;

    #[test]
    fn the_default_answers_as_the_threat_list_says() {
        let program = compile(&default_profile(&[], false)).unwrap();
        let none = [0; 6];
        for allowed in ["read", "write", "execve", "openat", "futex", "exit_group", "setuid", "capset", "prctl", "ptrace"] {
            assert_eq!(x86(&program, allowed, none), ALLOW, "{allowed}");
        }
        for refused in
            ["bpf", "mount", "unshare", "setns", "kexec_load", "userfaultfd", "perf_event_open", "open_by_handle_at", "io_uring_setup"]
        {
            assert_eq!(x86(&program, refused, none), EPERM, "{refused}");
        }
        assert_eq!(x86(&program, "clone3", none), ENOSYS);
        assert_eq!(x86(&program, "clone", [0x11, 0, 0, 0, 0, 0]), ALLOW);
        assert_eq!(x86(&program, "clone", [0x1000_0000, 0, 0, 0, 0, 0]), EPERM);
        assert_eq!(x86(&program, "socket", [2, 1, 0, 0, 0, 0]), ALLOW);
        assert_eq!(x86(&program, "socket", [38, 1, 0, 0, 0, 0]), EPERM);
        assert_eq!(x86(&program, "socket", [40, 1, 0, 0, 0, 0]), EPERM);
        assert_eq!(x86(&program, "socket", [16, 3, 9, 0, 0, 0]), 0x0005_0016);
        assert_eq!(x86(&program, "personality", [8, 0, 0, 0, 0, 0]), ALLOW);
        assert_eq!(x86(&program, "personality", [0x40000, 0, 0, 0, 0, 0]), ENOSYS);
        assert_eq!(run(&program, 5000, 0xc000_003e, none), ENOSYS);
        assert_eq!(run(&program, 0, 0x1234, none), KILL_THREAD);
    }

    #[test]
    fn every_number_gets_what_its_rule_says() {
        let profile = default_profile(&["CAP_SYS_ADMIN".to_owned()], false);
        let program = compile(&profile).unwrap();
        for (name, number) in numbers::X86_64 {
            let rules: Vec<_> = profile.syscalls.iter().filter(|r| r.names.iter().any(|n| n == name)).collect();
            if rules.iter().any(|r| !r.args.is_empty()) {
                continue;
            }
            let expected = rules.first().map_or(ENOSYS, |r| action(&r.action, r.errno_ret).unwrap());
            assert_eq!(run(&program, number, 0xc000_003e, [0; 6]), expected, "{name}");
        }
    }

    #[test]
    fn comparisons_look_at_all_64_bits() {
        for (op, holds) in [
            ("SCMP_CMP_EQ", [false, true, false]),
            ("SCMP_CMP_NE", [true, false, true]),
            ("SCMP_CMP_LT", [true, false, false]),
            ("SCMP_CMP_LE", [true, true, false]),
            ("SCMP_CMP_GE", [false, true, true]),
            ("SCMP_CMP_GT", [false, false, true]),
        ] {
            for value in [5u64, 1 << 32, (7 << 32) | 9, u64::MAX - 1] {
                let rule = SyscallRule {
                    names: vec!["read".into()],
                    action: "SCMP_ACT_ALLOW".into(),
                    args: vec![SyscallArgument { index: 1, value, value_two: 0, op: op.into() }],
                    ..SyscallRule::default()
                };
                let seccomp = Seccomp { default_action: "SCMP_ACT_ERRNO".into(), syscalls: vec![rule], ..Seccomp::default() };
                let program = compile(&seccomp).unwrap();
                for (arg, expected) in [value - 1, value, value + 1].into_iter().zip(holds) {
                    assert_eq!(x86(&program, "read", [0, arg, 0, 0, 0, 0]) == ALLOW, expected, "{op} {value} {arg}");
                }
            }
        }
    }

    #[test]
    fn programs_survive_a_file() {
        let program = compile(&default_profile(&[], true)).unwrap();
        assert_eq!(Program::from_bytes(&program.to_bytes()).unwrap(), program);
        assert!(Program::from_bytes(b"nonsense").is_err());
    }
}
