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
