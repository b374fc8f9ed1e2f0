//! The syntax that A1111 introduced and most tools read.
//!
//! `(x)` makes x 1.1 times as strong, `[x]` weakens it by the same factor, `(x:1.3)` sets a factor; brackets nest and their
//! factors multiply. A backslash takes the meaning from the bracket or backslash behind it. `BREAK` between words ends a
//! chunk. A bracket that is never closed works to the end of the text; one that closes nothing is text.

/// A part of a prompt.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Words with one weight.
    Text {
        /// The words, without the syntax around them.
        text: String,
        /// The product of the factors of all brackets around them.
        weight: f32,
    },
    /// The end of a chunk.
    Break,
}

/// What a bracket without a number multiplies with.
const FACTOR: f64 = 1.1;
/// Weights beyond this say nothing and overflow.
const LIMIT: f64 = 100.0;

/// A bracket and the one it stands in.
struct Bracket {
    parent: Option<usize>,
    round: bool,
    factor: f64,
}

#[derive(Default)]
struct Parser {
    brackets: Vec<Bracket>,
    /// The innermost open bracket.
    current: Option<usize>,
    /// Texts and the bracket each stands in.
    texts: Vec<(Option<usize>, String)>,
}

/// Takes a prompt apart. Any text is a prompt; neighbouring parts have different weights.
pub fn parse(prompt: &str) -> Vec<Part> {
    let mut parser = Parser::default();
    let mut rest = prompt;
    while let Some(c) = rest.chars().next() {
        let tail = rest.get(c.len_utf8()..).unwrap_or("");
        rest = match c {
            '\\' => parser.escaped(tail),
            '(' | '[' => {
                parser.open(c == '(');
                tail
            }
            ')' | ']' if parser.closes(c == ')') => {
                parser.close(None);
                tail
            }
            ':' if parser.closes(true) => match number(tail) {
                Some((factor, after)) => {
                    parser.close(Some(factor));
                    after
                }
                None => parser.push(":", tail),
            },
            _ => {
                let end = tail.find(['\\', '(', ')', '[', ']', ':']).map_or(rest.len(), |at| at + c.len_utf8());
                let (text, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
                parser.push(text, after)
            }
        };
    }
    parser.finish()
}

/// A factor and the closing bracket behind it: digits and points with a sign, blanks around.
fn number(text: &str) -> Option<(f64, &str)> {
    let (digits, after) = text.split_once(')')?;
    let digits = digits.trim();
    let plain = digits.trim_start_matches(['+', '-']);
    if plain.is_empty() || digits.len() > plain.len() + 1 || !plain.bytes().all(|b| b == b'.' || b.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse::<f64>().ok()?, after))
}

impl Parser {
    fn push<'a>(&mut self, text: &str, after: &'a str) -> &'a str {
        match self.texts.last_mut() {
            Some((bracket, last)) if *bracket == self.current => last.push_str(text),
            _ => self.texts.push((self.current, text.to_owned())),
        }
        after
    }

    /// The text behind a backslash: a bracket or backslash is itself, before anything else the backslash is one.
    fn escaped<'a>(&mut self, tail: &'a str) -> &'a str {
        match tail.chars().next() {
            Some(c @ ('(' | ')' | '[' | ']' | '\\')) => self.push(&c.to_string(), tail.get(1..).unwrap_or("")),
            _ => self.push("\\", tail),
        }
    }

    fn open(&mut self, round: bool) {
        let factor = if round { FACTOR } else { 1.0 / FACTOR };
        self.brackets.push(Bracket { parent: self.current, round, factor });
        self.current = Some(self.brackets.len() - 1);
    }

    fn innermost(&mut self) -> Option<&mut Bracket> {
        self.brackets.get_mut(self.current?)
    }

    fn closes(&mut self, round: bool) -> bool {
        self.innermost().is_some_and(|bracket| bracket.round == round)
    }

    fn close(&mut self, factor: Option<f64>) {
        if let Some(bracket) = self.innermost() {
            bracket.factor = factor.unwrap_or(bracket.factor);
            self.current = bracket.parent;
        }
    }

    fn finish(self) -> Vec<Part> {
        // A bracket stands behind its parent, so one pass gives the products.
        let mut products: Vec<f64> = Vec::with_capacity(self.brackets.len());
        for bracket in &self.brackets {
            let outer = bracket.parent.and_then(|parent| products.get(parent)).copied().unwrap_or(1.0);
            products.push((outer * bracket.factor).clamp(-LIMIT, LIMIT));
        }
        let mut parts = Vec::new();
        for (bracket, text) in self.texts {
            let weight = bracket.and_then(|bracket| products.get(bracket)).copied().unwrap_or(1.0) as f32;
            for (i, piece) in at_breaks(&text).into_iter().enumerate() {
                if i > 0 {
                    parts.push(Part::Break);
                }
                add(&mut parts, piece, weight);
            }
        }
        parts
    }
}

/// Appends words, to the last part if that has the same weight.
fn add(parts: &mut Vec<Part>, words: &str, weight: f32) {
    match parts.last_mut() {
        _ if words.is_empty() => {}
        Some(Part::Text { text, weight: last }) if *last == weight => text.push_str(words),
        _ => parts.push(Part::Text { text: words.to_owned(), weight }),
    }
}

/// Cuts a text at the word `BREAK` and takes the blanks around it away.
fn at_breaks(text: &str) -> Vec<&str> {
    const BREAK: &str = "BREAK";
    let (mut pieces, mut from, mut search) = (Vec::new(), 0, 0);
    while let Some(at) = text.get(search..).and_then(|rest| rest.find(BREAK)).map(|at| at + search) {
        let end = at + BREAK.len();
        let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        let before = text.get(..at).and_then(|head| head.chars().next_back());
        let after = text.get(end..).and_then(|tail| tail.chars().next());
        if !letter(before) && !letter(after) {
            pieces.push(text.get(from..at).unwrap_or("").trim_end());
            from = end;
        }
        search = end;
    }
    pieces.push(text.get(from..).unwrap_or(""));
    // Only what stands before the first BREAK keeps its leading blanks.
    pieces.iter_mut().skip(1).for_each(|piece| *piece = piece.trim_start());
    pieces
}
