//! Finding learned words in a text.

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// For the byte-pair encoder.
    Text(&'a str),
    /// A learned word's ids.
    Word(&'a [u32]),
}

/// Cuts a text at the learned words, which are sorted by falling length.
pub fn split<'a>(text: &'a str, words: &'a [(String, Vec<u32>)]) -> Vec<Piece<'a>> {
    let (mut pieces, mut rest_from, mut at) = (Vec::new(), 0, 0);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty() && !words.is_empty()) {
        let found = words.iter().find(|(word, _)| begins(rest, word) && stands_alone(text, at, word));
        match found {
            Some((word, ids)) => {
                pieces.push(Piece::Text(text.get(rest_from..at).unwrap_or("")));
                pieces.push(Piece::Word(ids));
                at += word.len();
                rest_from = at;
            }
            None => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    pieces.push(Piece::Text(text.get(rest_from..).unwrap_or("")));
    pieces.retain(|piece| *piece != Piece::Text(""));
    pieces
}

fn begins(text: &str, word: &str) -> bool {
    text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
}

/// Whether no letter or digit continues the word on either side; brackets of the word itself end it, too.
fn stands_alone(text: &str, at: usize, word: &str) -> bool {
    let joins = |inner: Option<char>, outer: Option<char>| {
        let part_of_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        inner.is_some_and(char::is_alphanumeric) && outer.is_some_and(part_of_word)
    };
    let before = text.get(..at).and_then(|head| head.chars().next_back());
    let after = text.get(at + word.len()..).and_then(|tail| tail.chars().next());
    !joins(word.chars().next(), before) && !joins(word.chars().next_back(), after)
}
