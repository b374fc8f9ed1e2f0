//! Files that are wrong in every way known from practice and from attacks, each with the error it must give.

mod crafted;

use crafted::{file, file_with_length};
use syncline_loader::{ErrorCode, LoadError, Weights};

/// One tensor "a" of type, shape and offsets as given.
fn one(dtype: &str, shape: &str, offsets: &str, bytes: usize) -> Vec<u8> {
    let header = format!(r#"{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#);
    file(&header, &vec![0; bytes])
}

/// Two F32 scalars with these offsets over `bytes` of data.
fn two(first: &str, second: &str, bytes: usize) -> Vec<u8> {
    let entry = |offsets: &str| format!(r#"{{"dtype":"F32","shape":[1],"data_offsets":{offsets}}}"#);
    file(&format!(r#"{{"a":{},"b":{}}}"#, entry(first), entry(second)), &vec![0; bytes])
}

fn header(text: &str) -> Vec<u8> {
    file(text, &[0; 4])
}

const A: &str = r#""a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;

/// Files that are something else, or are not all there.
fn foreign() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let padded = |magic: &[u8]| [magic, &[7u8; 200]].concat();
    vec![
        ("empty", vec![], "Truncated"),
        ("one byte", vec![1], "Truncated"),
        ("seven bytes", vec![1, 2, 3, 4, 5, 6, 7], "Truncated"),
        ("eight zeros", vec![0; 8], "Truncated"),
        ("all zeros", vec![0; 20_000], "Truncated"),
        (
            "lfs pointer",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 5214865028\n".to_vec(),
            "WrongFormat",
        ),
        ("lfs pointer without size", b"version https://git-lfs.github.com/spec/v1\n".to_vec(), "WrongFormat"),
        ("pickle zip", padded(b"PK\x03\x04\x00\x00"), "WrongFormat"),
        ("empty zip", padded(b"PK\x05\x06"), "WrongFormat"),
        ("pickle 2", padded(b"\x80\x02}q\x00"), "WrongFormat"),
        ("pickle 3", padded(b"\x80\x03}q\x00"), "WrongFormat"),
        ("pickle 4", padded(b"\x80\x04\x95"), "WrongFormat"),
        ("pickle 5", padded(b"\x80\x05\x95"), "WrongFormat"),
        ("gguf", padded(b"GGUF\x03\x00\x00\x00"), "WrongFormat"),
        ("ggml", padded(b"lmgg"), "WrongFormat"),
        ("hdf5", padded(b"\x89HDF\r\n\x1a\n"), "WrongFormat"),
        ("npy", padded(b"\x93NUMPY\x01\x00"), "WrongFormat"),
        ("7-zip", padded(b"7z\xbc\xaf\x27\x1c"), "WrongFormat"),
        ("gzip", padded(b"\x1f\x8b\x08\x00"), "WrongFormat"),
        ("png", padded(b"\x89PNG\r\n\x1a\n"), "WrongFormat"),
        ("jpeg", padded(b"\xff\xd8\xff\xe0"), "WrongFormat"),
        ("html", b"<!DOCTYPE html><html><title>401</title></html>".to_vec(), "WrongFormat"),
        ("html after blank lines", b"\r\n\r\n  <HTML><body>Sign in</body></HTML>".to_vec(), "WrongFormat"),
        ("xml error", b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>".to_vec(), "WrongFormat"),
        ("json error", b"{\"error\":\"Repository not found\"}".to_vec(), "WrongFormat"),
        ("plain text", b"Access to this model is restricted. Please log in.".to_vec(), "WrongFormat"),
        ("noise", (0..4096u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8 | 1).collect(), "WrongFormat"),
    ]
}

/// Headers that cannot be parsed into tensors.
fn headers() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let bomb = format!(
        "{{{}}}",
        (0..32_769)
            .map(|i| format!(r#""{i}":{{"dtype":"U8","shape":[1],"data_offsets":[{i},{}]}}"#, i + 1))
            .collect::<Vec<_>>()
            .join(",")
    );
    let nested = format!(r#"{{"a":{{"x":{}{}}}}}"#, "[".repeat(5000), "]".repeat(5000));
    vec![
        ("header longer than the file", file_with_length(10_000, b"{}", &[]), "Truncated"),
        ("header longer than the format allows", file_with_length(100_000_001, b"{}", &[0; 8]), "WrongFormat"),
        ("header length 2^64-1", file_with_length(u64::MAX, b"{}", &[0; 8]), "WrongFormat"),
        ("header length 2^63", file_with_length(1 << 63, b"{}", &[0; 8]), "WrongFormat"),
        ("header length 0", file_with_length(0, b"{}", &[0; 8]), "BadHeader"),
        ("header length 1", file_with_length(1, b"{}", &[0; 8]), "BadHeader"),
        ("header cut short", file_with_length(20, format!("{{{A}}}").as_bytes(), &[0; 4]), "BadHeader"),
        ("blank before the brace", header(&format!(" {{{A}}}")), "BadHeader"),
        ("text after the object", header(&format!("{{{A}}}x")), "BadHeader"),
        ("two objects", header(&format!("{{{A}}}{{{A}}}")), "BadHeader"),
        ("not UTF-8", file_with_length(9, b"{\"\xff\xfe\":1}", &[0; 4]), "BadHeader"),
        ("no tensors", header("{}"), "BadHeader"),
        ("metadata alone", header(r#"{"__metadata__":{"a":"b"}}"#), "BadHeader"),
        ("duplicate tensor", header(&format!("{{{A},{A}}}")), "BadHeader"),
        ("duplicate tensor by escape", header(&format!("{{{A},{}}}", A.replace("\"a\"", "\"\\u0061\""))), "BadHeader"),
        (
            "duplicate dtype",
            header(r#"{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#),
            "BadHeader",
        ),
        (
            "duplicate shape",
            header(r#"{"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}"#),
            "BadHeader",
        ),
        (
            "duplicate offsets",
            header(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"data_offsets":[0,4]}}"#),
            "BadHeader",
        ),
        ("duplicate metadata", header(&format!(r#"{{"__metadata__":{{}},"__metadata__":{{}},{A}}}"#)), "BadHeader"),
        ("duplicate metadata key", header(&format!(r#"{{"__metadata__":{{"k":"v","k":"w"}},{A}}}"#)), "BadHeader"),
        ("metadata of numbers", header(&format!(r#"{{"__metadata__":{{"k":1}},{A}}}"#)), "BadHeader"),
        ("metadata is a list", header(&format!(r#"{{"__metadata__":[],{A}}}"#)), "BadHeader"),
        ("no dtype", header(r#"{"a":{"shape":[1],"data_offsets":[0,4]}}"#), "BadHeader"),
        ("no shape", header(r#"{"a":{"dtype":"F32","data_offsets":[0,4]}}"#), "BadHeader"),
        ("no offsets", header(r#"{"a":{"dtype":"F32","shape":[1]}}"#), "BadHeader"),
        ("tensor is a number", header(r#"{"a":7}"#), "BadHeader"),
        ("tensor is null", header(r#"{"a":null}"#), "BadHeader"),
        ("tensor is a list", header(r#"{"a":["F32",[1],[0,4]]}"#), "BadHeader"),
        ("dtype is a number", header(r#"{"a":{"dtype":3,"shape":[1],"data_offsets":[0,4]}}"#), "BadHeader"),
        ("python literals", header("{'a':{'dtype':'F32','shape':(1,),'data_offsets':(0,4)}}"), "BadHeader"),
        ("deep nesting", header(&nested), "BadHeader"),
        ("too many tensors", file(&bomb, &vec![0; 32_769]), "BadHeader"),
    ]
}

/// Entries that contradict themselves, each other or the file.
fn entries() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let long = format!(r#"{{"{}":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}}"#, "n".repeat(1025));
    let zero = r#"{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    vec![
        ("unknown dtype", one("F33", "[1]", "[0,4]", 4), "BadTensor"),
        ("dtype in lower case", one("f32", "[1]", "[0,4]", 4), "BadTensor"),
        ("four-bit dtype", one("F4", "[8]", "[0,4]", 4), "BadTensor"),
        ("negative extent", one("F32", "[-1]", "[0,4]", 4), "BadHeader"),
        ("fractional extent", one("F32", "[1.0]", "[0,4]", 4), "BadHeader"),
        ("extent as text", one("F32", "[\"1\"]", "[0,4]", 4), "BadHeader"),
        ("extent above 2^64", one("F32", "[18446744073709551616]", "[0,4]", 4), "BadHeader"),
        ("shape is a number", one("F32", "1", "[0,4]", 4), "BadHeader"),
        ("nine dimensions", one("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]", 4), "BadHeader"),
        ("a thousand dimensions", one("F32", &format!("[{}1]", "1,".repeat(999)), "[0,4]", 4), "BadHeader"),
        ("no elements", one("F32", "[0]", "[0,0]", 0), "BadTensor"),
        ("no elements beside others", one("F32", "[4,0,2]", "[0,0]", 4), "BadTensor"),
        ("no elements, shared offset", file(zero, &[0; 4]), "BadTensor"),
        ("product wraps to 4", one("F32", "[4611686018427387905]", "[0,4]", 4), "BadTensor"),
        ("product wraps to 0", one("F32", "[4294967296,4294967296]", "[0,0]", 4), "BadTensor"),
        ("exabytes", one("U8", "[1152921504606846976]", "[0,1152921504606846976]", 4), "Truncated"),
        ("offsets reversed", one("F32", "[1]", "[4,0]", 4), "BadTensor"),
        ("negative offset", one("F32", "[1]", "[-4,0]", 4), "BadHeader"),
        ("one offset", one("F32", "[1]", "[0]", 4), "BadHeader"),
        ("three offsets", one("F32", "[1]", "[0,4,8]", 4), "BadHeader"),
        ("offsets beyond 2^63", one("U8", "[1]", "[18446744073709551614,18446744073709551615]", 4), "BadTensor"),
        ("fewer bytes than the shape", one("F32", "[2]", "[0,4]", 4), "BadTensor"),
        ("more bytes than the shape", one("F32", "[1]", "[0,8]", 8), "BadTensor"),
        ("overlap", two("[0,4]", "[2,6]", 8), "BadTensor"),
        ("same bytes twice", two("[0,4]", "[0,4]", 4), "BadTensor"),
        ("hole", two("[0,4]", "[8,12]", 12), "BadTensor"),
        ("does not begin at 0", one("F32", "[1]", "[4,8]", 8), "BadTensor"),
        ("data cut short", two("[0,4]", "[4,8]", 7), "Truncated"),
        ("no data at all", two("[0,4]", "[4,8]", 0), "Truncated"),
        ("bytes after the data", one("F32", "[1]", "[0,4]", 5), "BadHeader"),
        ("archive behind the data", [one("F32", "[1]", "[0,4]", 4), b"PK\x03\x04".to_vec()].concat(), "BadHeader"),
        ("empty name", header(r#"{"":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#), "BadTensor"),
        ("name of 1025 bytes", header(&long), "BadTensor"),
    ]
}

fn variant(error: &LoadError) -> String {
    format!("{error:?}").split(['(', ' ', '{']).next().unwrap_or("").to_owned()
}

fn check_message(name: &str, error: &LoadError) {
    let text = error.to_string();
    assert!(text.lines().count() <= 6, "{name}: {text}");
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{name}: {text:?}");
    let detail = error.detail();
    assert!(detail.found.is_some() && detail.expected.is_some() && detail.next.is_some(), "{name}: {text}");
}

#[test]
fn every_bad_file_gives_its_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.safetensors");
    let cases: Vec<_> = [foreign(), headers(), entries()].into_iter().flatten().collect();
    assert!(cases.len() >= 90, "{} cases", cases.len());
    for (name, bytes, expected) in cases {
        let start = std::time::Instant::now();
        let error = Weights::from_bytes("model.safetensors", bytes.clone()).expect_err(name);
        assert!(start.elapsed().as_secs_f64() < 1.0, "{name} took {:?}", start.elapsed());
        assert_eq!(variant(&error), expected, "{name}: {error}");
        assert_eq!(error.code(), ErrorCode::BadFile, "{name}");
        check_message(name, &error);
        std::fs::write(&path, &bytes).unwrap();
        let error = Weights::open(&path).expect_err(name);
        assert_eq!(variant(&error), expected, "{name} from disk: {error}");
        let report = syncline_loader::inspect(&path).unwrap();
        assert!(report.problem.is_some(), "{name}");
    }
}

#[test]
fn odd_but_sound_files_are_read() {
    let unknown = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"note":{"deep":[1,{}]}}}"#;
    let names = r#"{"../../etc/passwd":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"\u001b[2J":{"dtype":"F32","shape":[],"data_offsets":[4,8]}}"#;
    let files = [
        ("blanks after the object", header(&format!("{{{A}}}   ")), 1),
        ("unknown field", header(unknown), 1),
        ("eight dimensions", one("F32", "[1,1,1,1,1,1,1,1]", "[0,4]", 4), 1),
        ("scalar", one("F32", "[]", "[0,4]", 4), 1),
        ("names that are paths or escapes", file(names, &[0; 8]), 2),
        ("every type mixed", crafted::sound(), 4),
    ];
    for (name, bytes, tensors) in files {
        let weights = Weights::from_bytes(name, bytes.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(weights.len(), tensors, "{name}");
        let reference = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        for info in weights.infos() {
            let ours = weights.get(info.name).unwrap().unwrap();
            assert_eq!(ours.bytes(), reference.tensor(info.name).unwrap().data(), "{name} {}", info.name);
        }
        let error = weights.finish(&[]).unwrap_err();
        assert_eq!((variant(&error).as_str(), error.code()), ("Unaccounted", ErrorCode::ModelMismatch));
        check_message(name, &error);
    }
}

#[test]
fn misaligned_data_is_copied() {
    for blanks in 0..8 {
        let text = format!("{{{A}}}{}", " ".repeat(blanks));
        let weights = Weights::from_bytes("x", file(&text, &1.25f32.to_le_bytes())).unwrap();
        assert_eq!(weights.scope().take("a", &[1]).unwrap().to_f32(), [1.25]);
    }
}
