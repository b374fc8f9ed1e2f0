//! The `syncline` command.

#[expect(unused_imports, reason = "the commands that write pictures come next")]
#[cfg_attr(not(test), expect(dead_code, reason = "the commands that write pictures come next"))]
mod output;

fn main() {}
