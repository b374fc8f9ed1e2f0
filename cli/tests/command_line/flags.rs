//! Values that are refused, before the model and after.

use crate::runner::Folder;

/// Refused while the command line is read: nothing else has happened yet.
#[test]
fn bad_values_are_refused_with_what_would_do() {
    let folder = Folder::new();
    let cases: [(&[&str], &[&str]); 30] = [
        (&[], &["Usage: syncline [OPTIONS] <COMMAND>"]),
        (&["txt2imgg"], &["unrecognized subcommand 'txt2imgg'", "txt2img"]),
        (&["txt2img", "--stepss", "3"], &["unexpected argument '--stepss'", "--steps"]),
        (&["txt2img", "--seed", "-5"], &["'-5'", "0 to 18446744073709551615, or -1 for a random one"]),
        (&["txt2img", "--seed", "18446744073709551616"], &["0 to 18446744073709551615"]),
        (&["txt2img", "--seed", "1.5"], &["'1.5'", "--seed"]),
        (&["txt2img", "--steps", "-1"], &["-1"]),
        (&["txt2img", "--steps", "many"], &["'many'", "--steps"]),
        (&["txt2img", "--sampler", "rk4"], &["\"rk4\"", "expected one of ddim"]),
        (&["txt2img", "--scheduler", "beta"], &["\"beta\"", "expected one of discrete"]),
        (&["txt2img", "--rng", "dice"], &["\"dice\"", "expected cuda, cpu or portable"]),
        (&["txt2img", "--precision", "f8"], &["'f8'", "auto, f32, f16"]),
        (&["txt2img", "--backend", "cuda"], &["'cuda'", "auto, vulkan, metal, dx12"]),
        (&["txt2img", "--max-vram", "0"], &["'0'", "a number above 0"]),
        (&["txt2img", "--max-vram", "nan"], &["a number above 0"]),
        (&["txt2img", "--max-vram=-2"], &["a number above 0"]),
        (&["txt2img", "--batch-size", "0"], &["'0'", "expected 1 to 256"]),
        (&["txt2img", "--batch-size", "1000000000000"], &["expected 1 to 256"]),
        (&["txt2img", "--vae-tile-size", "0"], &["0 is not in 16..=2048"]),
        (&["txt2img", "--width", "wide"], &["'wide'", "--width"]),
        (&["txt2img", "--prediction", "x0"], &["'x0'", "expected epsilon (eps) or v_prediction (v)"]),
        (&["txt2img", "--quiet", "--verbose"], &["cannot be used with"]),
        (&["txt2img", "-o", ""], &["--output"]),
        (&["img2img", "-p", "a hill"], &["--init-img <INIT_IMG>"]),
        (&["panorama", "--pano-size", "100x100"], &["width of twice the height"]),
        (&["panorama", "--preset", "best"], &["\"best\"", "paper, official, small, draft"]),
        (&["panorama", "--feather", "maybe"], &["'maybe'", "true, false"]),
        (&["contact-sheet"], &["PICTURES"]),
        (&["contact-sheet", "--columns", "0", "a.png"], &["0 is not in 1..=100"]),
        (&["verify"], &["<DIR>"]),
    ];
    for (args, parts) in cases {
        folder.run(args).exits(2).gives_nothing().says(parts);
    }
    assert_eq!(folder.names(), [""; 0]);
}

/// Refused once the model is known, before any work.
#[test]
fn values_outside_the_models_range_are_refused() {
    let folder = Folder::new();
    let cases: [(&[&str], &str); 25] = [
        (&["txt2img", "--steps", "0"], "steps: found 0, expected 1 to "),
        // DPM++ 2M has one node more than steps.
        (&["txt2img", "--steps", "1000"], "steps: found 1000, expected 1 to 999"),
        (&["txt2img", "--steps", "1001", "--sampler", "ddim"], "steps: found 1001, expected 1 to 1000"),
        (&["txt2img", "--steps", "18446744073709551615"], "expected 1 to "),
        (&["txt2img", "-W", "100"], "width: found 100, expected a multiple of 64 from 64 to 16384, for example 64"),
        (&["txt2img", "-H", "200"], "height: found 200, expected a multiple of 64 from 64 to 16384, for example 192"),
        (&["txt2img", "-W", "0"], "width: found 0"),
        (&["txt2img", "-H", "18446744073709551615"], "for example 16384"),
        (&["txt2img", "--cfg-scale", "nan"], "cfg-scale: found NaN, expected a finite number"),
        (&["txt2img", "--cfg-scale", "-inf"], "cfg-scale: found -inf"),
        (&["panorama", "--steps", "0"], "steps: found 0, expected 1 to 1000"),
        (&["panorama", "--steps", "99999999999"], "expected 1 to 1000"),
        (&["panorama", "--ode-steps", "0"], "ode steps: found 0, expected 1 to 1000"),
        (&["panorama", "--views", "0"], "expected 1 to 64 sets, each of the same 1 to 64 views"),
        (&["panorama", "--views", "999999999999"], "found 2 sets of 999999999999 views"),
        (&["panorama", "--view-size", "0"], "found 0, expected a multiple of 64"),
        (&["panorama", "--view-size", "17"], "found 17, expected a multiple of 64"),
        (&["panorama", "--fov", "0"], "fov: found 0, expected 10 to 150 degrees"),
        (&["panorama", "--fov", "nan"], "fov: found NaN"),
        (
            &["panorama", "--fov", "60", "--used-fov", "70"],
            "used fov: found 70, expected more than 0 and at most the fov",
        ),
        (&["panorama", "--pano-size", "200000x100000"], "panorama height: found 100000, expected 16 to 4096"),
        (&["panorama", "--t-max", "1e30"], "expected a timestep from 0 to 999"),
        (&["panorama", "--t-max", "-5"], "t max: found -5"),
        (&["panorama", "--t-min", "nan"], "t min: found NaN, expected a timestep from 0 to t max"),
        (&["panorama", "--cfg-scale", "inf"], "cfg-scale: found inf"),
    ];
    for (args, part) in cases {
        let run = folder.run(args).exits(2).gives_nothing().says(&[part, "try '--help'"]);
        assert_eq!(run.stderr.matches(part).count(), 1, "said twice: {}", run.stderr);
    }
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn help_and_version_are_results() {
    let folder = Folder::new();
    let version = folder.run(&["--version"]).exits(0);
    assert_eq!(version.stdout, format!("syncline {}\n", env!("CARGO_PKG_VERSION")));
    let help = folder.run(&["--help"]).exits(0);
    for code in ["2 usage", "3 bad input file", "4 model mismatch", "5 no suitable adapter", "6 out of memory"] {
        assert!(help.stdout.contains(code), "{code}: {}", help.stdout);
    }
    for command in
        ["txt2img", "img2img", "panorama", "reproject", "contact-sheet", "verify", "devices", "inspect", "completions"]
    {
        assert!(help.stdout.contains(command), "{command}");
        let help = folder.run(&[command, "--help"]).exits(0).stdout;
        let examples = help.split_once("Examples:").unwrap_or_else(|| panic!("{command} has no examples")).1;
        assert!(examples.contains(&format!("syncline {command}")), "{command}: {examples}");
    }
}

#[test]
fn every_shell_gets_its_completions() {
    let folder = Folder::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = folder.run(&["completions", shell]).exits(0).stdout;
        assert!(script.contains("panorama") && script.contains("negative-prompt"), "{shell}: {script}");
    }
    folder.run(&["completions", "dos"]).exits(2).gives_nothing().says(&["bash, elvish, fish, powershell, zsh"]);
}
