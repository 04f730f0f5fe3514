//! Ends badly: `trap unreachable | bounds | stack | panic`.
#![cfg(target_family = "wasm")]
#![expect(unsafe_code, reason = "a read beyond the memory is one of the traps")]

use std::hint::black_box;

struct Trap;

impl wasip3::exports::cli::run::Guest for Trap {
    async fn run() -> Result<(), ()> {
        println!("before");
        match std::env::args().nth(1).as_deref() {
            Some("unreachable") => core::arch::wasm32::unreachable(),
            Some("bounds") => println!("{}", read_beyond_the_memory()),
            Some("stack") => println!("{}", descend(1)),
            Some("panic") => panic!("a sentence of the tool"),
            _ => return Err(()),
        }
        Ok(())
    }
}

fn read_beyond_the_memory() -> u8 {
    let address = black_box(u32::MAX as usize) as *const u8;
    // SAFETY: there is none: the engine stops the component here.
    unsafe { address.read_volatile() }
}

#[expect(unconditional_recursion, reason = "the end of the stack is wanted")]
fn descend(depth: u64) -> u64 {
    let here = black_box([depth; 64]);
    descend(depth + 1) + black_box(here)[0]
}

wasip3::cli::command::export!(Trap);
