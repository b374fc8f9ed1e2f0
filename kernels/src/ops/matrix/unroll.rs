//! Repetition in shader sources that must be written out: cooperative matrices keep their place in registers only when
//! each has a name of its own, and neither naga nor every driver unrolls loops.
//!
//! ```text
//! //: for i in NAME        until the matching end, once for each i below NAME: $i is its number
//! //: for j in NAME / 2    the same for half of them; $je and $jo are the even and odd numbers 2j and 2j + 1
//! //: block name           until the matching end: text that `use name` stands for
//! //: use name
//! ```

use std::collections::HashMap;

/// Numbers by name.
pub(super) type Constants = [(&'static str, usize)];

fn directive(line: &str) -> Option<Vec<&str>> {
    line.trim_start().strip_prefix("//: ").map(|rest| rest.split_whitespace().collect())
}

/// Index of the `end` that closes what `lines[start]` opens.
fn closing(lines: &[&str], start: usize) -> usize {
    let mut depth = 0;
    for (at, line) in lines.iter().enumerate().skip(start) {
        match directive(line).as_deref() {
            Some(["for" | "block", ..]) => depth += 1,
            Some(["end"]) => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    panic!("{} has no end", lines[start])
}

fn number(words: &[&str], constants: &Constants) -> usize {
    let value = |name: &str| {
        let found = constants.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
        found.or_else(|| name.parse().ok()).unwrap_or_else(|| panic!("no constant {name}"))
    };
    match words {
        [name] => value(name),
        [name, "/", by] => value(name) / value(by),
        _ => panic!("neither a number nor a quotient: {words:?}"),
    }
}

fn expand(lines: &[&str], constants: &Constants, blocks: &HashMap<&str, Vec<&str>>, out: &mut String) {
    let mut at = 0;
    while at < lines.len() {
        match directive(lines[at]).as_deref() {
            Some(["for", name, "in", count @ ..]) => {
                let end = closing(lines, at);
                let mut body = String::new();
                expand(&lines[at + 1..end], constants, blocks, &mut body);
                for i in 0..number(count, constants) {
                    let [even, odd] = [2 * i, 2 * i + 1].map(|n| n.to_string());
                    let once = body.replace(&format!("${name}e"), &even).replace(&format!("${name}o"), &odd);
                    out.push_str(&once.replace(&format!("${name}"), &i.to_string()));
                }
                at = end;
            }
            Some(["block", ..]) => at = closing(lines, at),
            Some(["use", name]) => {
                let block = blocks.get(name).unwrap_or_else(|| panic!("no block {name}"));
                expand(block, constants, blocks, out);
            }
            Some(other) => panic!("unknown directive {other:?}"),
            None => {
                out.push_str(lines[at]);
                out.push('\n');
            }
        }
        at += 1;
    }
}

/// `sources` one after the other, written out, with the constants as WGSL.
pub(super) fn unroll(sources: &[&str], constants: &Constants) -> String {
    let lines: Vec<&str> = sources.iter().flat_map(|source| source.lines()).collect();
    let mut blocks = HashMap::new();
    for (at, line) in lines.iter().enumerate() {
        if let Some(["block", name]) = directive(line).as_deref() {
            blocks.insert(*name, lines[at + 1..closing(&lines, at)].to_vec());
        }
    }
    let mut out = String::new();
    expand(&lines, constants, &blocks, &mut out);
    constants.iter().for_each(|(name, value)| out.push_str(&format!("const {name}: u32 = {value}u;\n")));
    out
}

#[cfg(test)]
mod tests {
    use super::unroll;

    #[test]
    fn loops_nest_and_blocks_are_used() {
        let source =
            "//: for i in A\n//: for j in A / 2\nx$i_$je$jo;\n//: end\n//: use b\n//: end\n//: block b\nb;\n//: end\n";
        assert_eq!(unroll(&[source], &[("A", 2)]), "x0_01;\nb;\nx1_01;\nb;\nconst A: u32 = 2u;\n");
    }

    #[test]
    #[should_panic(expected = "no constant B")]
    fn unknown_names_are_refused() {
        unroll(&["//: for i in B\n//: end"], &[]);
    }
}
