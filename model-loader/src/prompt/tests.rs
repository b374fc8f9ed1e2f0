use super::*;

/// Parts as (text, weight rounded to six digits); a break is `None`.
fn parts(prompt: &str) -> Vec<Option<(String, f64)>> {
    let round = |weight: f32| (f64::from(weight) * 1e6).round() / 1e6;
    let part = |part| match part {
        Part::Text { text, weight } => Some((text, round(weight))),
        Part::Break => None,
    };
    parse(prompt).into_iter().map(part).collect()
}

fn some(rows: &[(&str, f64)]) -> Vec<Option<(String, f64)>> {
    rows.iter().map(|(text, weight)| Some(((*text).to_owned(), *weight))).collect()
}

/// Weights by hand: 1.1² = 1.21, 1.1³ = 1.331, 1 / 1.1 = 0.909091, 1 / 1.21 = 0.826446.
#[test]
fn hand_computed_weights() {
    let cases: [(&str, &[(&str, f64)]); 22] = [
        ("normal text", &[("normal text", 1.0)]),
        ("an (important) word", &[("an ", 1.0), ("important", 1.1), (" word", 1.0)]),
        ("((x))", &[("x", 1.21)]),
        ("(((x)))", &[("x", 1.331)]),
        ("[x]", &[("x", 0.909091)]),
        ("[[x]]", &[("x", 0.826446)]),
        ("([x])", &[("x", 1.0)]),
        ("(x:1.2)", &[("x", 1.2)]),
        ("(x: 0.5 )", &[("x", 0.5)]),
        ("(x:-1)", &[("x", -1.0)]),
        ("(x:.5)", &[("x", 0.5)]),
        ("(a (b:2) c:0.5)", &[("a ", 0.5), ("b", 1.0), (" c", 0.5)]),
        ("a (b [c] d:1.5)", &[("a ", 1.0), ("b ", 1.5), ("c", 1.363636), (" d", 1.5)]),
        (r"\(literal\) \[too\] \\", &[(r"(literal) [too] \", 1.0)]),
        (r"a\b", &[(r"a\b", 1.0)]),
        (r"(a\):1.3)", &[("a)", 1.3)]),
        // Unbalanced brackets, as A1111 has them.
        ("(unbalanced", &[("unbalanced", 1.1)]),
        ("stray) ]", &[("stray) ]", 1.0)]),
        // A colon without a number is text, in and outside of brackets.
        ("time: 12:30", &[("time: 12:30", 1.0)]),
        ("(ratio 16:9 or so)", &[("ratio 16:9 or so", 1.1)]),
        ("(a:1.2.3)", &[("a:1.2.3", 1.1)]),
        ("[x:0.5]", &[("x:0.5", 0.909091)]),
    ];
    for (prompt, expected) in cases {
        assert_eq!(parts(prompt), some(expected), "{prompt}");
    }
    assert_eq!(parts(""), vec![]);
    assert_eq!(parts("()"), vec![]);
    assert_eq!(parts("a (b)(c)"), some(&[("a ", 1.0), ("bc", 1.1)]), "equal weights are one part");
}

#[test]
fn a_long_example() {
    // The factors of one prompt with everything in it: 1.1 · 1.3 = 1.43 for "hat", 1.1 · 1 / 1.1 = 1 for "old".
    let prompt = r"a (((house:1.3)) [on] a (hill:0.5), sun, (((sky)))";
    let expected = [
        ("a ", 1.0),
        ("house", 1.573),
        (" ", 1.1),
        ("on", 1.0),
        (" a ", 1.1),
        ("hill", 0.55),
        (", sun, ", 1.1),
        ("sky", 1.4641),
    ];
    assert_eq!(parts(prompt), some(&expected));
}

#[test]
fn breaks_end_chunks() {
    let text = |text: &str| Some((text.to_owned(), 1.0));
    assert_eq!(parts("a BREAK b"), [text("a"), None, text("b")]);
    assert_eq!(parts("a,BREAK,b"), [text("a,"), None, text(",b")]);
    assert_eq!(parts("BREAKFAST at daBREAK"), [text("BREAKFAST at daBREAK")]);
    assert_eq!(parts("a BREAK BREAK b"), [text("a"), None, None, text("b")]);
    assert_eq!(parts("(a BREAK b:1.2)"), [Some(("a".into(), 1.2)), None, Some(("b".into(), 1.2))]);
    assert_eq!(parts("BREAK"), [None]);
    assert_eq!(parts("breakers break"), [text("breakers break")]);
}

/// A thousand cats and their ids: "cat" is 2368.
fn cats(count: usize) -> String {
    vec!["cat"; count].join(" ")
}

#[test]
fn chunks_have_75_tokens_and_their_weights() {
    let tokenizer = Tokenizer::clip().unwrap();
    for (count, sizes) in
        [(0, &[0][..]), (1, &[1]), (75, &[75]), (76, &[75, 1]), (150, &[75, 75]), (200, &[75, 75, 50])]
    {
        let found = tokens(&tokenizer, &cats(count));
        assert_eq!((found.chunks.len(), found.cut), (sizes.len(), 0), "{count}");
        for (chunk, size) in found.chunks.iter().zip(sizes) {
            let mut ids = vec![49406];
            ids.extend(vec![2368; *size]);
            ids.resize(77, 49407);
            assert_eq!((&chunk.ids, chunk.weights.len(), chunk.is_plain()), (&ids, 77, true));
        }
    }
    // One chunk is what the plain form gives.
    let text = "a photo of an astronaut riding a horse, oil on canvas";
    assert_eq!(tokens(&tokenizer, text), plain(&tokenizer, text));
    // SD-2.x pads with "!".
    let tokenizer = Tokenizer::clip_padded_with("!").unwrap();
    let found = tokens(&tokenizer, "(cat:1.5) BREAK [dog]");
    assert_eq!(found.chunks[0].ids[..5], [49406, 2368, 49407, 0, 0]);
    assert_eq!(found.chunks[0].weights[..4], [1.0, 1.5, 1.0, 1.0]);
    assert_eq!((found.chunks[1].ids[1], found.chunks[1].weights[1]), (1929, (1.0 / 1.1f64) as f32));
    // A weighted token keeps its weight across the border.
    let found = tokens(&tokenizer, &format!("({}:2)", cats(76)));
    assert!(found.chunks[0].weights[1..76].iter().all(|weight| *weight == 2.0));
    assert_eq!(found.chunks[1].weights[..3], [1.0, 2.0, 1.0]);
}

#[test]
fn learned_words_stay_together_and_batches_get_equal_chunks() {
    let words = vec![("toy".to_owned(), vec![49408, 49409, 49410])];
    let tokenizer = Tokenizer::clip().unwrap().with_words(words);
    let mut found = tokens(&tokenizer, &format!("{} (toy:1.4)", cats(73)));
    assert_eq!(found.chunks[0].ids[74], 49407, "two places stay empty");
    assert_eq!(found.chunks[1].ids[..5], [49406, 49408, 49409, 49410, 49407]);
    assert_eq!(found.chunks[1].weights[..5], [1.0, 1.4, 1.4, 1.4, 1.0]);
    found.pad_to(4, &tokenizer);
    assert_eq!(found.chunks.len(), 4);
    assert_eq!(found.chunks[3].ids[..2], [49406, 49407]);
    found.pad_to(2, &tokenizer);
    assert_eq!(found.chunks.len(), 4);
}

#[test]
fn endless_prompts_end() {
    let tokenizer = Tokenizer::clip().unwrap();
    let found = tokens(&tokenizer, &cats(75 * MAX_CHUNKS + 7));
    assert_eq!((found.chunks.len(), found.cut), (MAX_CHUNKS, 7));
    let deep = format!("{}x{}", "(".repeat(100_000), ")".repeat(100_000));
    assert_eq!(parts(&deep), some(&[("x", LIMIT_OF_WEIGHTS)]));
    assert_eq!(parts(&"[".repeat(100_000)), vec![]);
    assert_eq!(tokens(&tokenizer, &"BREAK ".repeat(1000)).chunks.len(), MAX_CHUNKS);
}

const LIMIT_OF_WEIGHTS: f64 = 100.0;

#[test]
fn weighing_keeps_the_mean() {
    // States 1, 2 and 3, 6 with weights 1 and 2: 1, 2, 6, 12 has mean 5.25 where 3 was before, so all times 4 / 7.
    let mut states = [1.0, 2.0, 3.0, 6.0];
    weigh(&mut states, 2, &[1.0, 2.0]);
    let expected = [4.0 / 7.0, 8.0 / 7.0, 24.0 / 7.0, 48.0 / 7.0];
    assert!(states.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{states:?}");
    let plain = [0.1f32, -7.0, 3.3, 1e-20];
    let mut same = plain;
    weigh(&mut same, 2, &[1.0, 1.0]);
    assert_eq!(same.map(f32::to_bits), plain.map(f32::to_bits));
    let mut zeros = [0.0f32; 4];
    weigh(&mut zeros, 2, &[1.0, 2.0]);
    assert_eq!(zeros, [0.0; 4]);
}

/// Any text is a prompt: its words come out in order, and nothing panics.
#[test]
fn any_text_is_a_prompt() {
    let alphabet: Vec<char> = "((()))[[]]::\\\\12.-+ abBREAK é猫".chars().collect();
    let mut state = 1u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..30 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push(alphabet[(state >> 33) as usize % alphabet.len()]);
        }
        let letters = |text: &str| text.chars().filter(|c| "abé猫".contains(*c)).collect::<String>();
        let found: String = parse(&text)
            .into_iter()
            .map(|part| match part {
                Part::Text { text, weight } => {
                    assert!(weight.is_finite() && weight.abs() <= 100.0 && !text.is_empty());
                    text
                }
                Part::Break => String::new(),
            })
            .collect();
        assert_eq!(letters(&found), letters(&text), "{text}");
    }
}
