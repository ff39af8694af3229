//! Programs that the kernel loads and runs, without any device.

use std::io;

use super::Register::{R0, R1, R2};
use super::{Assembler, Map, MapKind, Program, ProgramKind};

/// `XDP_PASS`.
const PASS: i32 = 2;

/// Whether we may not ask the kernel for this; says so loudly.
fn is_skipped(test: &str, error: &io::Error) -> bool {
    let skipped = error.kind() == io::ErrorKind::PermissionDenied;
    if skipped {
        eprintln!("SKIPPED: {test}: using bpf(2): {error}");
    }
    skipped
}

#[test]
fn a_program_and_this_process_see_the_same_map() {
    let map = match Map::<[u64; 3]>::new(MapKind::Array, 1) {
        Err(error) if is_skipped("a_program_and_this_process_see_the_same_map", &error) => return,
        other => other.unwrap(),
    };
    map.set(&0, &[1, 2, 3]).unwrap();
    let mut asm = Assembler::default();
    asm.load_map_value(R1, &map);
    asm.mov(R2, 10);
    asm.atomic_add(R1, 8, R2);
    asm.mov(R0, PASS);
    asm.exit();
    let program = Program::load(&asm.finish().unwrap(), ProgramKind::Xdp).unwrap();
    for _ in 0..2 {
        assert_eq!(program.answer(&[0; 60]).unwrap(), PASS.cast_unsigned());
    }
    assert_eq!(map.get(&0).unwrap(), [1, 22, 3]);
    assert!(map.get(&1).is_err(), "there is one value");
}

#[test]
fn a_program_that_the_kernel_refuses_is_refused_with_its_reason() {
    let mut asm = Assembler::default();
    asm.mov(R0, R2);
    asm.exit();
    let error = Program::load(&asm.finish().unwrap(), ProgramKind::Xdp).unwrap_err();
    if !is_skipped("a_program_that_the_kernel_refuses_is_refused_with_its_reason", &error) {
        assert!(error.to_string().contains("R2 !read_ok"), "{error}");
    }
}
