//! A report as a page: pictures, tables and settings in one file that needs no network.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::atomic::Target;
use super::error::OutputError;
use super::html::{data_uri, escaped};
use super::picture::Picture;

/// Rows of names and values.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Above the table.
    pub caption: String,
    /// Heads of the columns, that of the names first.
    pub columns: Vec<String>,
    /// One text for every column; shorter rows are filled up.
    pub rows: Vec<Vec<String>>,
}

/// What a report says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReportPage {
    /// Title and heading.
    pub title: String,
    /// What the reader should know first.
    pub summary: String,
    /// Captions and pictures, in order.
    pub pictures: Vec<(String, Picture)>,
    /// Measures, with their baselines in columns beside them, and settings.
    pub tables: Vec<Table>,
    /// The command that made it, word by word.
    pub command: Vec<String>,
}

const STYLE: &str = ":root{color-scheme:light dark}\
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}\
figure{margin:1rem 0}img{max-width:100%;height:auto;display:block}figcaption,caption{text-align:left;padding:.3rem 0}\
caption{font-weight:600}table{border-collapse:collapse;margin:1.5rem 0}\
th,td{padding:.2rem .9rem .2rem 0;border-bottom:1px solid #8884;text-align:left;vertical-align:top}\
td+td,th+th{text-align:right;font-variant-numeric:tabular-nums}\
table.text td+td,table.text th+th{text-align:left;overflow-wrap:anywhere}\
pre{overflow-x:auto;padding:.6rem;background:#8882}footer{opacity:.7;margin-top:2rem}";

impl ReportPage {
    /// The page. Every text is shown as it is: nothing in it becomes markup.
    ///
    /// # Errors
    /// When a picture holds NaN.
    pub fn render(&self) -> Result<String, OutputError> {
        let mut body = format!("<h1>{}</h1>\n", escaped(&self.title));
        if !self.summary.is_empty() {
            body += &format!("<p>{}</p>\n", escaped(&self.summary));
        }
        for (caption, picture) in &self.pictures {
            let (caption, [height, width]) = (escaped(caption), picture.raster.size);
            let source = data_uri(picture)?;
            body += &format!(
                "<figure><img src=\"{source}\" width=\"{width}\" height=\"{height}\" alt=\"{caption}\">\
                 <figcaption>{caption}</figcaption></figure>\n"
            );
        }
        self.tables.iter().for_each(|table| table.render(&mut body));
        if !self.command.is_empty() {
            let words: Vec<String> = self.command.iter().map(|word| quoted(word)).collect();
            body += &format!("<h2>Command</h2>\n<pre>{}</pre>\n", escaped(&words.join(" ")));
        }
        let version = env!("CARGO_PKG_VERSION");
        Ok(format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';img-src data:;style-src 'unsafe-inline'\">\n\
             <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\
             <footer>syncline {version}</footer>\n</body>\n</html>\n",
            escaped(&self.title)
        ))
    }
}

impl Table {
    fn render(&self, body: &mut String) {
        let cells = |row: &[String], tag: &str| -> String {
            let texts = (0..self.columns.len()).map(|i| row.get(i).map_or("", String::as_str));
            texts.map(|text| format!("<{tag}>{}</{tag}>", escaped(text))).collect()
        };
        // Numbers are compared down a column, words are read.
        let numbers =
            self.rows.iter().flat_map(|row| row.iter().skip(1)).all(|cell| {
                cell.is_empty() || cell.starts_with(|c: char| c.is_ascii_digit() || "+-\u{2212}.".contains(c))
            });
        let class = if numbers { "" } else { " class=\"text\"" };
        let _ = writeln!(body, "<table{class}><caption>{}</caption>", escaped(&self.caption));
        let _ = writeln!(body, "<thead><tr>{}</tr></thead>\n<tbody>", cells(&self.columns, "th"));
        for row in &self.rows {
            let _ = writeln!(body, "<tr>{}</tr>", cells(row, "td"));
        }
        body.push_str("</tbody></table>\n");
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Where a report goes: a `.html` page, a folder for the page and its JSON, or JSON alone.
#[derive(Clone, Debug)]
pub struct ReportFiles {
    json: Option<Target>,
    page: Option<Target>,
}

impl ReportFiles {
    /// Before the work.
    ///
    /// # Errors
    /// As [`Target::check`].
    pub fn check(path: &Path, force: bool) -> Result<Self, OutputError> {
        let target = |path: &Path| Target::check(path, force).map(Some);
        if path.is_dir() {
            return Ok(Self { json: target(&path.join("report.json"))?, page: target(&path.join("report.html"))? });
        }
        let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
        match extension.as_deref() {
            Some("html" | "htm") => Ok(Self { json: None, page: target(path)? }),
            _ => Ok(Self { json: target(path)?, page: None }),
        }
    }

    /// Writes what was asked for and returns the real paths. `page` is made only for a page.
    ///
    /// # Errors
    /// When a picture holds NaN, or the disk refuses.
    pub fn write(
        &self,
        json: &serde_json::Value,
        page: impl FnOnce() -> ReportPage,
    ) -> Result<Vec<PathBuf>, OutputError> {
        let mut written = Vec::new();
        if let Some(target) = &self.page {
            let page = page().render()?;
            written.push(target.write(|w| w.write_all(page.as_bytes()))?);
        }
        if let Some(target) = &self.json {
            written.push(target.write(|w| writeln!(w, "{json:#}"))?);
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use syncline::reproject::Raster;

    use super::*;

    fn page() -> ReportPage {
        let text = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        ReportPage {
            title: "A <hill> & \"more\"".into(),
            summary: "Coupled & not".into(),
            pictures: vec![("one <red> pixel".into(), Picture::srgb(Raster::new([1, 1], vec![1.0, 0.0, 0.0])))],
            tables: vec![
                Table {
                    caption: "Measures".into(),
                    columns: text(&["", "coupled", "independent"]),
                    rows: vec![text(&["seam ratio", "1.02", "3.10"]), text(&["coverage", "1"])],
                },
                Table {
                    caption: "Settings".into(),
                    columns: text(&["", "value"]),
                    rows: vec![text(&["model", "<m>"])],
                },
            ],
            command: text(&["syncline", "panorama", "-p", "it's </pre> late"]),
        }
    }

    /// Read as XML: every element is closed, every text escaped.
    #[test]
    fn the_page_is_well_formed_and_says_everything() {
        let html = page().render().unwrap();
        let xml = html.replacen("<!DOCTYPE html>\n", "", 1);
        let mut closed = String::new();
        for line in xml.lines() {
            let void = line.starts_with("<meta ");
            closed +=
                &if void { line.replacen('>', "/>", 1) } else { line.replace("\"><figcaption>", "\"/><figcaption>") };
            closed.push('\n');
        }
        let document = roxmltree::Document::parse(&closed).unwrap();
        let all = |tag: &'static str| document.descendants().filter(move |n| n.has_tag_name(tag));
        let text = |tag: &'static str| all(tag).filter_map(|n| n.text()).collect::<Vec<_>>();
        assert_eq!(text("title"), ["A <hill> & \"more\""]);
        assert_eq!(text("h1"), ["A <hill> & \"more\""]);
        assert_eq!(text("figcaption"), ["one <red> pixel"]);
        assert_eq!(text("pre"), ["syncline panorama -p 'it'\\''s </pre> late'"]);
        assert_eq!(text("td"), ["seam ratio", "1.02", "3.10", "coverage", "1", "model", "<m>"]);
        assert_eq!(all("td").count(), 8, "a short row is filled up");
        let image = all("img").next().unwrap();
        assert!(image.attribute("src").unwrap().starts_with("data:image/png;base64,"));
        assert_eq!(image.attribute("alt"), Some("one <red> pixel"));
        assert_eq!(all("table").filter_map(|t| t.attribute("class")).collect::<Vec<_>>(), ["text"]);
        assert_eq!(all("script").count(), 0);
    }

    #[test]
    fn the_end_of_the_path_picks_the_form() {
        let dir = tempfile::tempdir().unwrap();
        let json = serde_json::json!({ "schema": 1 });
        let write = |path: &Path| {
            let files = ReportFiles::check(path, false).unwrap();
            let written = files.write(&json, page).unwrap();
            written.iter().map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(write(&dir.path().join("a.html")), ["a.html"]);
        assert_eq!(write(&dir.path().join("a.json")), ["a.json"]);
        assert_eq!(write(&dir.path().join("a")), ["a"]);
        assert_eq!(write(dir.path()), ["report.html", "report.json"]);
        let text = std::fs::read_to_string(dir.path().join("report.json")).unwrap();
        assert_eq!(text, "{\n  \"schema\": 1\n}\n");
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        for (word, expected) in [("a.png", "a.png"), ("a b", "'a b'"), ("", "''"), ("$HOME", "'$HOME'"), ("é", "'é'")]
        {
            assert_eq!(quoted(word), expected);
        }
    }
}
