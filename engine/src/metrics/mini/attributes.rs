//! What a prompt of the built-in model's world asks for: the words of `model-loader/mini/world/captions.py`.

/// One of four questions that the classifier answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its name in the classifier's file.
    pub name: &'static str,
    /// Its classes in the order of the classifier's numbers.
    pub classes: &'static [&'static str],
    /// Words for each class, without articles.
    words: &'static [&'static [&'static str]],
}

/// The questions in the order in which results have them: time, ground, relief, sky.
pub const HEADS: [Head; 4] = [
    Head {
        name: "time",
        classes: &["dawn", "noon", "sunset", "night"],
        words: &[
            &["dawn", "sunrise", "early morning"],
            &["noon", "midday", "daytime"],
            &["sunset", "dusk", "evening"],
            &["night", "midnight"],
        ],
    },
    Head {
        name: "ground",
        classes: &["sea", "desert", "meadow", "snow", "canyon"],
        words: &[
            &["sea", "ocean"],
            &["desert", "desert dunes", "sand dunes"],
            &["meadow", "green meadow", "grass field"],
            &["snow", "snowy field", "snow plain"],
            &["red canyon", "red rock canyon", "canyon"],
        ],
    },
    Head {
        name: "relief",
        classes: &["mountains", "hills", "flat", "city"],
        words: &[
            &["mountains", "distant mountains", "mountain range", "peaks"],
            &["hills", "rolling hills", "low hills"],
            &["flat horizon", "open horizon"],
            &["city skyline", "skyscrapers", "city", "buildings"],
        ],
    },
    Head {
        name: "sky",
        classes: &["clear", "cloudy", "starry", "aurora"],
        words: &[
            &["clear sky", "cloudless sky"],
            &["cloudy sky", "sky with clouds"],
            &["starry sky", "sky full of stars"],
            &["aurora", "northern lights"],
        ],
    },
];

/// The classes that a prompt names, for each head; none: it leaves that open. A prompt may name two of one head ("sea and
/// desert"); either is then right.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Indices into [`Head::classes`].
    pub classes: [Vec<usize>; 4],
}

impl Wanted {
    /// Reads a prompt word by word; the longest phrase wins. Words that the captions do not have mean nothing.
    #[must_use]
    pub fn of_prompt(prompt: &str) -> Self {
        let lower = prompt.to_lowercase();
        let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let (mut wanted, mut at) = (Self::default(), 0);
        while at < words.len() {
            let Some((length, head, class)) = longest(&words[at..]) else {
                at += 1;
                continue;
            };
            if !wanted.classes[head].contains(&class) {
                wanted.classes[head].push(class);
            }
            at += length;
        }
        wanted
    }

    /// Whether nothing is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.classes.iter().all(Vec::is_empty)
    }

    /// Whether classes are what is asked for, for each head that is named.
    #[must_use]
    pub fn met(&self, classes: [usize; 4]) -> [Option<bool>; 4] {
        std::array::from_fn(|i| (!self.classes[i].is_empty()).then(|| self.classes[i].contains(&classes[i])))
    }

    /// The same without what heads after the first `kept` ask.
    #[must_use]
    pub(super) fn keeping(&self, kept: usize) -> Self {
        Self { classes: std::array::from_fn(|i| if i < kept { self.classes[i].clone() } else { Vec::new() }) }
    }
}

/// Words, head and class of the longest phrase that the words begin with.
fn longest(words: &[&str]) -> Option<(usize, usize, usize)> {
    let phrases = HEADS.iter().enumerate().flat_map(|(head, h)| {
        h.words.iter().enumerate().flat_map(move |(class, phrases)| phrases.iter().map(move |p| (head, class, *p)))
    });
    let fits = |phrase: &str| phrase.split(' ').enumerate().all(|(i, word)| words.get(i) == Some(&word));
    let found = phrases.filter(|(_, _, phrase)| fits(phrase));
    found.map(|(head, class, phrase)| (phrase.split(' ').count(), head, class)).max_by_key(|(length, _, _)| *length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(prompt: &str) -> String {
        let wanted = Wanted::of_prompt(prompt);
        let of = |(head, classes): (&Head, &Vec<usize>)| {
            classes.iter().map(|c| head.classes[*c]).collect::<Vec<_>>().join("+")
        };
        HEADS.iter().zip(&wanted.classes).map(of).collect::<Vec<_>>().join("/")
    }

    #[test]
    fn prompts_name_what_they_name() {
        for (prompt, expected) in [
            ("a sunset over desert dunes with distant mountains", "sunset/desert/mountains/"),
            ("Night sea under a starry sky", "night/sea//starry"),
            ("snow at night, aurora, with a city skyline", "night/snow/city/aurora"),
            ("noon over the sea, clear sky, hills", "noon/sea/hills/clear"),
            (
                "early morning, sky full of stars and a red rock canyon in front of a flat horizon",
                "dawn/canyon/flat/starry",
            ),
            ("the sea and a desert at dusk or sunset", "sunset/sea+desert//"),
            ("midnight, northern lights", "night///aurora"),
            ("a seaside nightclub with clouds", "///"),
            ("", "///"),
        ] {
            assert_eq!(named(prompt), expected, "{prompt}");
        }
        assert!(Wanted::of_prompt("a lighthouse").is_empty());
    }

    #[test]
    fn only_what_is_named_is_judged() {
        let wanted = Wanted::of_prompt("sea and desert at noon");
        assert_eq!(wanted.met([1, 1, 0, 0]), [Some(true), Some(true), None, None]);
        assert_eq!(wanted.met([0, 2, 3, 3]), [Some(false), Some(false), None, None]);
        assert_eq!(wanted.keeping(1).met([0, 2, 3, 3]), [Some(false), None, None, None]);
    }

    #[test]
    fn every_class_has_words_and_no_phrase_means_two_things() {
        let mut phrases = std::collections::BTreeSet::new();
        for head in HEADS {
            assert_eq!(head.classes.len(), head.words.len());
            for phrase in head.words.concat() {
                assert!(phrases.insert(phrase), "{phrase}");
            }
        }
    }
}
