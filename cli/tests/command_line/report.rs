//! `--report` as a page: the numbers of the JSON, with the pictures they measure.

use crate::runner::Folder;

#[test]
fn a_folder_gets_the_page_and_its_numbers() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path().join("r")).unwrap();
    let made =
        ["panorama", "-p", "hills <b>&", "--preset", "draft", "--steps", "2", "--ode-steps", "1", "--views", "2"];
    let size = ["--pano-size", "256x128", "--view-size", "64", "--precision", "f32", "-o", "p.png", "--report", "r"];
    let run = folder.run(&[&made[..], &size].concat()).exits(0);
    assert_eq!(run.stdout, "p.png\np_independent.png\nr/report.html\nr/report.json\n");
    let html = String::from_utf8(folder.bytes("r/report.html")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&folder.bytes("r/report.json")).unwrap();
    assert_eq!(html.matches("src=\"data:image/png;base64,").count(), 2);
    for (part, measure) in [("coupled", "/coupled/seam/ratio"), ("independent", "/independent/hard_tiles/ratio")] {
        let value = json.pointer(measure).unwrap().as_f64().unwrap();
        assert!(html.contains(&format!("<td>{value:.4}</td>")), "{part}: no {value:.4}");
    }
    assert!(html.contains("<td>hills &lt;b&gt;&amp;</td>") && !html.contains("<b>"));
    assert!(html.contains("--report r</pre>"), "the command is shown");
    assert!(!html.contains("://"), "nothing is loaded from elsewhere");
}

/// A study says what it needs before a model is loaded, and leaves no table of nothing.
#[test]
fn studies_ask_for_their_data() {
    let folder = Folder::new();
    let study = ["ablation", "--study", "csd", "--measure-only", "-o", "out"];
    let missing = folder.run(&study).exits(2);
    assert!(missing.stderr.contains("--study needs --data"), "{}", missing.stderr);
    let nowhere = folder.run(&[&study[..], &["--data", "data"]].concat()).exits(3);
    assert!(nowhere.stderr.contains("study.py"), "{}", nowhere.stderr);
    std::fs::create_dir_all(folder.path().join("data/pano/00")).unwrap();
    folder.write("data/pano/00/meta.json", "{\"source_prompt\": 1}");
    let bad = folder.run(&[&study[..], &["--data", "data"]].concat()).exits(3);
    assert!(bad.stderr.contains("meta.json: invalid type"), "{}", bad.stderr);
    assert!(folder.names().iter().all(|name| !name.ends_with(".md")));
}
