//! The page of `--viewer` in a real browser: what it draws is compared with the perspective view computed here.
//!
//! Needs Chromium: scripts/ensure-test-tools.sh installs it where it may. Without one these tests fail and say so.
#![cfg(target_os = "linux")]

use std::f64::consts::PI;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::runner::Folder;

const WIDTH: usize = 640;
const HEIGHT: usize = 480;

/// What a browser is called on different systems.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

fn browser() -> PathBuf {
    if let Some(path) = std::env::var_os("SYNCLINE_CHROMIUM") {
        return PathBuf::from(path);
    }
    let folders: Vec<PathBuf> = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).collect();
    let candidates = BROWSERS.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    candidates.into_iter().find(|path| path.is_file()).unwrap_or_else(|| {
        panic!(
            "no browser: none of {BROWSERS:?} is in PATH. Run scripts/ensure-test-tools.sh, or install Chromium \
             (Debian: apt-get install chromium), or name one with SYNCLINE_CHROMIUM"
        )
    })
}

/// A smooth panorama: nothing to alias.
fn panorama(folder: &Folder) -> image::RgbImage {
    let picture = image::RgbImage::from_fn(512, 256, |x, y| {
        let (u, v) = ((f64::from(x) + 0.5) / 512.0 * 2.0 * PI, (f64::from(y) + 0.5) / 256.0 * PI);
        let level = |value: f64| (127.5 + 120.0 * value).round() as u8;
        // At the poles nothing depends on the longitude.
        image::Rgb([level(u.sin() * v.sin()), level((2.0 * u).cos() * v.sin().powi(2)), level(v.cos())])
    });
    picture.save(folder.path().join("smooth.png")).unwrap();
    picture
}

/// Bilinear, wrapping in longitude.
fn sample(picture: &image::RgbImage, u: f64, v: f64) -> [f64; 3] {
    let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
    let (x, y) = (u * width - 0.5, (v * height - 0.5).clamp(0.0, height - 1.0));
    let pixel = |x: f64, y: f64| picture.get_pixel(x.rem_euclid(width) as u32, y.min(height - 1.0) as u32).0;
    let (fx, fy) = (x - x.floor(), y - y.floor());
    let corners = [(x.floor(), y.floor()), (x.floor() + 1.0, y.floor()), (x.floor(), y.floor() + 1.0)];
    let [a, b, c] = corners.map(|(x, y)| pixel(x, y));
    let d = pixel(x.floor() + 1.0, y.floor() + 1.0);
    [0, 1, 2].map(|i| {
        let mix = |p: u8, q: u8| f64::from(p) * (1.0 - fx) + f64::from(q) * fx;
        mix(a[i], b[i]) * (1.0 - fy) + mix(c[i], d[i]) * fy
    })
}

/// The pixel that a camera at `[azimuth, elevation, vertical field]` in degrees shows at (x, y).
fn expected(picture: &image::RgbImage, [azimuth, elevation, fov]: [f64; 3], x: usize, y: usize) -> [f64; 3] {
    let focal = 0.5 * HEIGHT as f64 / (0.5 * fov.to_radians()).tan();
    let (right, up) = (x as f64 + 0.5 - 0.5 * WIDTH as f64, 0.5 * HEIGHT as f64 - y as f64 - 0.5);
    let (se, ce) = elevation.to_radians().sin_cos();
    let (up, level) = (up * ce + focal * se, focal * ce - up * se);
    let longitude = right.atan2(level) + azimuth.to_radians();
    let latitude = up.atan2(right.hypot(level));
    sample(picture, (longitude / (2.0 * PI) + 0.5).rem_euclid(1.0), 0.5 - latitude / PI)
}

/// A picture of a page, and what the browser said about it.
fn screenshot(folder: &Folder, page: &str, hash: &str, more: &[&str]) -> (image::RgbImage, String) {
    let shot = folder.path().join("shot.png");
    let _ = std::fs::remove_file(&shot);
    let address = format!("file://{}{hash}", folder.path().join(page).display());
    let mut command = Command::new(browser());
    command.args(["--headless=new", "--no-sandbox", "--no-first-run", "--disable-extensions", "--hide-scrollbars"]);
    // No GPU on most test machines, and the page may not reach any network.
    command.args([
        "--use-gl=angle",
        "--use-angle=swiftshader",
        "--enable-unsafe-swiftshader",
        "--disable-dev-shm-usage",
    ]);
    command.args([
        "--host-resolver-rules=MAP * ~NOTFOUND",
        "--force-device-scale-factor=1",
        "--force-color-profile=srgb",
    ]);
    command.arg(format!("--window-size={WIDTH},{HEIGHT}")).arg(format!("--screenshot={}", shot.display()));
    command.arg(format!("--user-data-dir={}", folder.path().join("profile").display()));
    command.args(["--enable-logging=stderr", "--log-level=0"]).args(more).arg(&address);
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > Duration::from_secs(120) {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the browser took more than two minutes for {address}: {}", said(folder));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(shot.exists(), "no screenshot of {address}: {}", said(folder));
    let picture = image::open(&shot).unwrap().to_rgb8();
    assert_eq!((picture.width() as usize, picture.height() as usize), (WIDTH, HEIGHT));
    (picture, said(folder))
}

fn said(folder: &Folder) -> String {
    String::from_utf8_lossy(&folder.bytes("log")).into_owned()
}

/// Mean absolute difference in levels over the rows.
fn difference(shot: &image::RgbImage, rows: std::ops::Range<usize>, pixel: impl Fn(usize, usize) -> [f64; 3]) -> f64 {
    let mut sum = 0.0;
    for y in rows.clone() {
        for x in 0..WIDTH {
            let (got, expected) = (shot.get_pixel(x as u32, y as u32).0, pixel(x, y));
            sum += (0..3).map(|c| (f64::from(got[c]) - expected[c]).abs()).sum::<f64>();
        }
    }
    sum / (3 * WIDTH * rows.len()) as f64
}

#[track_caller]
fn assert_no_complaints(log: &str) {
    for complaint in ["Uncaught", "Refused to", "Content Security Policy", "WebGL: INVALID"] {
        assert!(!log.contains(complaint), "{log}");
    }
}

fn page() -> (Folder, image::RgbImage) {
    let folder = Folder::new();
    let picture = panorama(&folder);
    let args = ["reproject", "-i", "smooth.png", "-o", "same.png", "--viewer", "view.html"];
    let run = folder.run(&args).exits(0);
    assert_eq!(run.stdout, "same.png\nview.html\n");
    (folder, picture)
}

#[test]
fn the_page_looks_where_its_address_says() {
    let (folder, picture) = page();
    // Without a hash the keys are explained at the lower edge for a while.
    for (hash, look, rows) in [
        ("", [0.0, 0.0, 75.0], 0..HEIGHT * 4 / 5),
        ("#az=90&el=20&fov=60", [90.0, 20.0, 60.0], 0..HEIGHT),
        ("#az=-170&el=-65&fov=100", [-170.0, -65.0, 100.0], 0..HEIGHT),
    ] {
        let (shot, log) = screenshot(&folder, "view.html", hash, &[]);
        assert_no_complaints(&log);
        let off = difference(&shot, rows.clone(), |x, y| expected(&picture, look, x, y));
        assert!(off < 2.0, "{hash}: off by {off:.2} levels on average");
        let elsewhere = difference(&shot, rows, |x, y| expected(&picture, [look[0] + 40.0, look[1], look[2]], x, y));
        assert!(elsewhere > 10.0, "{hash}: any direction would pass ({elsewhere:.2})");
    }
}

/// Events as a keyboard, a mouse and a wheel send them, from a script behind the page's own.
#[test]
fn keys_mouse_and_wheel_turn_and_zoom() {
    let (folder, picture) = page();
    let script = |events: &str| {
        let text = String::from_utf8(folder.bytes("view.html")).unwrap();
        let steps = "<script>addEventListener('load',function(){var v=document.getElementById('view');\
            function key(k){dispatchEvent(new KeyboardEvent('keydown',{key:k,cancelable:true}))}\
            function at(n,x,y){v.dispatchEvent(new PointerEvent(n,{pointerId:1,clientX:x,clientY:y}))}EVENTS})</script>";
        folder.write("moved.html", text.replace("</body>", &format!("{}</body>", steps.replace("EVENTS", events))));
    };
    // A key turns by a fifteenth of the field, a drag by the angle under the pointer; a wheel notch of 100 zooms by 1.001^100.
    let zoomed = 60.0 * 1.001_f64.powi(-100);
    let keys = "for(var i=0;i<5;i++)key('ArrowRight');key('ArrowLeft');for(i=0;i<3;i++)key('ArrowUp');key('ArrowDown');\
                key('+');key('-');key('-');";
    let mouse = "var h=v.clientHeight;at('pointerdown',400,200);at('pointermove',400-h/2,200+h/6);at('pointerup',0,0);\
                 at('pointermove',0,0);v.dispatchEvent(new WheelEvent('wheel',{deltaY:-100,cancelable:true}));";
    let home = "for(var i=0;i<9;i++)key('ArrowRight');key('ArrowUp');key('Home');";
    for (events, look) in [(keys, [16.0, 8.0, 66.0]), (mouse, [30.0, 10.0, zoomed]), (home, [0.0, 0.0, 75.0])] {
        script(events);
        let (shot, log) = screenshot(&folder, "moved.html", "#fov=60", &["--virtual-time-budget=2000"]);
        assert_no_complaints(&log);
        let off = difference(&shot, 0..HEIGHT, |x, y| expected(&picture, look, x, y));
        let before = difference(&shot, 0..HEIGHT, |x, y| expected(&picture, [0.0, 0.0, 60.0], x, y));
        assert!(
            off < 2.0 && before > 1.5 * off.max(0.5),
            "{events}: off by {off:.2} levels, from before by {before:.2}"
        );
    }
}

#[test]
fn without_webgl_the_flat_picture_is_there() {
    let (folder, picture) = page();
    let (shot, log) = screenshot(&folder, "view.html", "#az=90", &["--disable-3d-apis"]);
    assert_no_complaints(&log);
    // 2:1 in the middle of 4:3; the explanation is below it.
    let (top, height) = (80, 320);
    let flat = |x: usize, y: usize| {
        sample(&picture, (x as f64 + 0.5) / WIDTH as f64, (y as f64 - top as f64 + 0.5) / height as f64)
    };
    let off = difference(&shot, top..top + height, flat);
    assert!(off < 6.0, "off by {off:.2} levels on average");
}

#[test]
fn the_page_needs_nothing_but_itself() {
    let (folder, _) = page();
    let text = String::from_utf8(folder.bytes("view.html")).unwrap();
    let (before, picture) = text.split_once("src=\"data:image/png;base64,").unwrap();
    let (picture, after) = picture.split_once('"').unwrap();
    assert!(picture.len() > 1000 && picture.chars().all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c)));
    assert!(before.len() + after.len() < 15_000, "{} bytes without the picture", before.len() + after.len());
    assert!(!before.contains("{{") && !after.contains("{{") && !text.contains("://"), "{before}{after}");
    // A file's name is text, not markup.
    folder.write("<b>&.png", folder.bytes("smooth.png"));
    folder.run(&["reproject", "-i", "<b>&.png", "-o", "x.png", "--viewer", "x.html"]).exits(0);
    let text = String::from_utf8(folder.bytes("x.html")).unwrap();
    assert!(text.contains("<title>&lt;b&gt;&amp;</title>") && !text.contains("<b>&"));
}
