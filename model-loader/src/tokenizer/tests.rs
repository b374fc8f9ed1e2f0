use super::*;

/// Words, contractions, digits, punctuation, other scripts, emoji, half-formed marks, and odd white space.
const PROMPTS: [&str; 23] = [
    "a photo of a cat",
    "A Photograph of an ASTRONAUT riding a horse",
    "it's we're I'll don't he'd you've I'm 'tis",
    "room 1234, 3.14 and 2nd",
    "hello, world. (masterpiece:1.2) [best quality]",
    "naïve café déjà-vu über",
    "東京タワーの夜景",
    "Привет, мир",
    "emoji 🎨🖌️ 👩‍👩‍👧‍👦 end",
    "tabs\tand\nnewlines  and   spaces",
    "antidisestablishmentarianism supercalifragilistic",
    "zażółć gęślą jaźń",
    "a_b_c --- ... ???",
    "",
    " ",
    "ﬁligree ½ ² ™",
    "مرحبا بالعالم",
    "हिन्दी में पाठ",
    "x",
    "ǅ İstanbul",
    "\u{a0}no-break\u{2003}space",
    "<start> <|end|>",
    "don’t “quote”",
];

#[test]
fn equals_an_independent_implementation() {
    let ours = Tokenizer::clip().unwrap();
    let other = instant_clip_tokenizer::Tokenizer::new();
    assert_eq!(ours.special_ids(), (49406, 49407, 49407));
    assert_eq!(ours.vocab_size(), 49408);
    for prompt in PROMPTS {
        let mut ids = Vec::new();
        other.encode(prompt, &mut ids);
        let ids: Vec<u32> = ids.into_iter().map(|t| u32::from(t.to_u16())).collect();
        assert_eq!(ours.encode(prompt), ids, "{prompt:?}");
    }
}

#[test]
fn known_ids() {
    let clip = Tokenizer::clip().unwrap();
    assert_eq!(clip.encode("a photo of a cat"), [320, 1125, 539, 320, 2368]);
    assert_eq!(clip.encode("Hi there"), [1883, 997]);
    assert_eq!(clip.encode("hello!"), [3306, 256]);
    assert_eq!(clip.encode("A\n\n  PHOTO"), clip.encode("a photo"));
}

#[test]
fn letters_are_lowered_one_by_one() {
    // transformers' tokenizer does not know the final form of sigma; Rust's str::to_lowercase does.
    let clip = Tokenizer::clip().unwrap();
    assert_eq!(clip.encode("ΟΔΟΣ"), clip.encode("οδοσ"));
    assert_ne!(clip.encode("ΟΔΟΣ"), clip.encode("οδος"));
}

#[test]
fn text_is_composed_before_it_is_cut() {
    let clip = Tokenizer::clip().unwrap();
    assert_eq!(clip.encode("cafe\u{301}"), clip.encode("caf\u{e9}"));
}

#[test]
fn padding_and_truncation() {
    let clip = Tokenizer::clip().unwrap();
    let (ids, cut) = clip.encode_padded("a cat");
    assert_eq!((ids.len(), cut), (77, 0));
    assert_eq!(ids[..4], [49406, 320, 2368, 49407]);
    assert!(ids[4..].iter().all(|id| *id == 49407));
    let (ids, cut) = clip.encode_padded(&"cat ".repeat(75));
    assert_eq!((ids[75], ids[76], cut), (2368, 49407, 0));
    let (ids, cut) = clip.encode_padded(&"cat ".repeat(80));
    assert_eq!((ids.len(), ids[76], cut), (77, 49407, 5));
    let (ids, _) = clip.encode_padded("");
    assert_eq!(ids[..2], [49406, 49407]);
}

#[test]
fn a_padding_token_is_special_in_the_text_too() {
    let sd2 = Tokenizer::clip_padded_with("!").unwrap();
    assert_eq!(sd2.special_ids(), (49406, 49407, 0));
    assert_eq!(sd2.encode("hello!"), [3306, 0]);
    assert_eq!(sd2.encode("hello!!"), [3306, 0, 0]);
    let (ids, _) = sd2.encode_padded("a cat");
    assert!(ids[4..].iter().all(|id| *id == 0));
}

#[test]
fn special_tokens_in_the_text_keep_their_ids() {
    let clip = Tokenizer::clip().unwrap();
    assert_eq!(clip.encode("cat<|endoftext|>dog"), [2368, 49407, 1929]);
    // Another spelling is no special token: it is lowered and cut like any text.
    assert!(!clip.encode("<|ENDOFTEXT|>").contains(&49407));
}

#[test]
fn broken_parts_are_errors() {
    let merges = "#version: 0.2\na b</w>\n";
    let good = r#"{"a":0,"b</w>":1,"ab</w>":2,"<|startoftext|>":3,"<|endoftext|>":4}"#;
    let tokenizer = Tokenizer::from_parts(good, merges).unwrap();
    assert_eq!(tokenizer.encode("AB"), [2]);
    let cases = [
        ("", merges),
        ("{}", merges),
        ("[1]", merges),
        (r#"{"a":0,"b</w>":1,"ab</w>":2}"#, merges),
        (r#"{"a":0,"b</w>":1,"<|startoftext|>":3,"<|endoftext|>":4}"#, merges),
        (r#"{"a":0,"b</w>":0,"ab</w>":2,"<|startoftext|>":3,"<|endoftext|>":4}"#, merges),
        (r#"{"a":0,"a":1,"b</w>":5,"ab</w>":2,"<|startoftext|>":3,"<|endoftext|>":4}"#, merges),
        (r#"{"a":-1,"b</w>":1,"ab</w>":2,"<|startoftext|>":3,"<|endoftext|>":4}"#, merges),
        (r#"{"a":4000000000,"b</w>":1,"ab</w>":2,"<|startoftext|>":3,"<|endoftext|>":4}"#, merges),
        (good, "a b</w> c"),
        (good, "a"),
        (good, "x y"),
    ];
    for (vocab, merges) in cases {
        let error = Tokenizer::from_parts(vocab, merges).unwrap_err();
        assert_eq!(error.code(), crate::ErrorCode::BadFile, "{vocab} {merges}");
        assert!(error.to_string().lines().count() <= 6);
    }
}
