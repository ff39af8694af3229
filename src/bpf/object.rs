//! Programs that were compiled from C: an object file's instructions, with maps of ours in the place of those that it
//! names.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use aya_obj::generated::bpf_insn;

use super::instruction::Instruction;

/// The bytes of an object file, aligned as its reader wants them.
#[derive(Debug)]
#[repr(C, align(8))]
pub struct Aligned<const LEN: usize>(pub [u8; LEN]);

/// The instructions of a program of an object file, and of the functions that it calls. `maps` are all that it names.
///
/// # Errors
/// What the file has not, or has too much.
pub fn instructions(object: &[u8], program: &str, maps: &[(&str, BorrowedFd<'_>)]) -> io::Result<Vec<Instruction>> {
    let mut object = aya_obj::Object::parse(object).map_err(io::Error::other)?;
    let named: io::Result<Vec<_>> = object
        .maps
        .iter()
        .map(|(name, map)| {
            let given = maps.iter().find(|(given, _)| given == name);
            let (_, descriptor) = given.ok_or_else(|| io::Error::other(format!("no map for {name:?}")))?;
            Ok((name.clone(), descriptor.as_raw_fd(), map.clone()))
        })
        .collect();
    let named = named?;
    let text: HashSet<_> = object.functions.keys().map(|(section, _)| *section).collect();
    let rows = named.iter().map(|(name, descriptor, map)| (name.as_str(), *descriptor, map));
    object.relocate_maps(rows, &text).map_err(io::Error::other)?;
    object.relocate_calls(&text).map_err(io::Error::other)?;
    let function = object.programs.get(program).and_then(|program| object.functions.get(&program.function_key()));
    let function = function.ok_or_else(|| io::Error::other(format!("no program {program:?}")))?;
    Ok(function.instructions.iter().copied().map(instruction).collect())
}

fn instruction(read: bpf_insn) -> Instruction {
    let registers = read.dst_reg() | read.src_reg() << 4;
    Instruction { opcode: read.code, registers, offset: read.off, immediate: read.imm }
}
