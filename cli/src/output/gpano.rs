//! The Photo Sphere XMP packet that tells viewers a picture is a panorama.
//! Source: <https://developers.google.com/streetview/spherical-metadata>

/// Where an equirectangular picture lies on the full sphere, in pixels of the full panorama.
#[derive(Debug, Clone, PartialEq)]
pub struct GPano {
    /// Width of the whole sphere; twice its height.
    pub full_width: usize,
    /// Height of the whole sphere.
    pub full_height: usize,
    /// Left edge of this picture in it.
    pub left: usize,
    /// Top edge of this picture in it.
    pub top: usize,
    /// Width of this picture.
    pub width: usize,
    /// Height of this picture.
    pub height: usize,
    /// Compass direction of the picture's centre in degrees, 0 ≤ heading < 360; north is 0, east is 90.
    pub heading_degrees: f64,
}

const NAMESPACE: &str = "http://ns.google.com/photos/1.0/panorama/";

impl GPano {
    /// A picture that covers the whole sphere.
    #[must_use]
    pub fn whole(width: usize, height: usize, heading_degrees: f64) -> Self {
        Self { full_width: width, full_height: height, left: 0, top: 0, width, height, heading_degrees }
    }

    /// The packet, for an `XML:com.adobe.xmp` chunk.
    ///
    /// # Panics
    /// When the picture does not lie inside its sphere or the heading is not finite.
    #[must_use]
    pub fn to_xmp(&self) -> String {
        let inside = self.left + self.width <= self.full_width && self.top + self.height <= self.full_height;
        assert!(inside && self.heading_degrees.is_finite(), "panorama: {self:?}");
        let heading = self.heading_degrees.rem_euclid(360.0);
        let fields = [
            ("ProjectionType", "equirectangular".to_owned()),
            ("UsePanoramaViewer", "True".to_owned()),
            ("FullPanoWidthPixels", self.full_width.to_string()),
            ("FullPanoHeightPixels", self.full_height.to_string()),
            ("CroppedAreaLeftPixels", self.left.to_string()),
            ("CroppedAreaTopPixels", self.top.to_string()),
            ("CroppedAreaImageWidthPixels", self.width.to_string()),
            ("CroppedAreaImageHeightPixels", self.height.to_string()),
            ("PoseHeadingDegrees", format!("{heading}")),
        ];
        let fields: String = fields.iter().map(|(k, v)| format!("   <GPano:{k}>{v}</GPano:{k}>\n")).collect();
        format!(
            "<?xpacket begin=\"\u{FEFF}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n\
             <x:xmpmeta xmlns:x=\"adobe:ns:meta/\">\n \
             <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\n  \
             <rdf:Description rdf:about=\"\" xmlns:GPano=\"{NAMESPACE}\">\n{fields}  \
             </rdf:Description>\n </rdf:RDF>\n</x:xmpmeta>\n<?xpacket end=\"r\"?>"
        )
    }

    /// Reads the fields back from any packet that writes them as elements or as attributes; `None` when one is missing
    /// or the projection is another. A packet without a heading faces north.
    #[must_use]
    pub fn from_xmp(xmp: &str) -> Option<Self> {
        if field(xmp, "ProjectionType")? != "equirectangular" {
            return None;
        }
        let pixels = |name| field(xmp, name)?.parse::<usize>().ok();
        Some(Self {
            full_width: pixels("FullPanoWidthPixels")?,
            full_height: pixels("FullPanoHeightPixels")?,
            left: pixels("CroppedAreaLeftPixels")?,
            top: pixels("CroppedAreaTopPixels")?,
            width: pixels("CroppedAreaImageWidthPixels")?,
            height: pixels("CroppedAreaImageHeightPixels")?,
            heading_degrees: match field(xmp, "PoseHeadingDegrees") {
                Some(text) => text.parse().ok().filter(|h: &f64| h.is_finite())?,
                None => 0.0,
            },
        })
    }
}

/// The value of `GPano:<name>`, from `<GPano:name>value<` or `GPano:name="value"`.
fn field<'a>(xmp: &'a str, name: &str) -> Option<&'a str> {
    let name = format!("GPano:{name}");
    let quoted = |quote: char| -> Option<&'a str> { xmp.split_once(&format!("{name}={quote}"))?.1.split(quote).next() };
    let element = || xmp.split_once(&format!("<{name}>"))?.1.split('<').next();
    element().or_else(|| quoted('"')).or_else(|| quoted('\'')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_packet_is_stable() {
        let expected = "<?xpacket begin=\"\u{FEFF}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>
<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">
 <rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">
  <rdf:Description rdf:about=\"\" xmlns:GPano=\"http://ns.google.com/photos/1.0/panorama/\">
   <GPano:ProjectionType>equirectangular</GPano:ProjectionType>
   <GPano:UsePanoramaViewer>True</GPano:UsePanoramaViewer>
   <GPano:FullPanoWidthPixels>2048</GPano:FullPanoWidthPixels>
   <GPano:FullPanoHeightPixels>1024</GPano:FullPanoHeightPixels>
   <GPano:CroppedAreaLeftPixels>0</GPano:CroppedAreaLeftPixels>
   <GPano:CroppedAreaTopPixels>0</GPano:CroppedAreaTopPixels>
   <GPano:CroppedAreaImageWidthPixels>2048</GPano:CroppedAreaImageWidthPixels>
   <GPano:CroppedAreaImageHeightPixels>1024</GPano:CroppedAreaImageHeightPixels>
   <GPano:PoseHeadingDegrees>270</GPano:PoseHeadingDegrees>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end=\"r\"?>";
        assert_eq!(GPano::whole(2048, 1024, -90.0).to_xmp(), expected);
    }

    #[test]
    fn attributes_are_read_too() {
        let xmp = r#"<rdf:Description GPano:ProjectionType="equirectangular" GPano:FullPanoWidthPixels="8"
            GPano:FullPanoHeightPixels="4" GPano:CroppedAreaLeftPixels='1' GPano:CroppedAreaTopPixels="2"
            GPano:CroppedAreaImageWidthPixels="3" GPano:CroppedAreaImageHeightPixels="1"/>"#;
        let expected =
            GPano { full_width: 8, full_height: 4, left: 1, top: 2, width: 3, height: 1, heading_degrees: 0.0 };
        assert_eq!(GPano::from_xmp(xmp), Some(expected));
        assert_eq!(GPano::from_xmp(&xmp.replace("equirectangular", "cylindrical")), None);
        assert_eq!(GPano::from_xmp(&xmp.replace("=\"3\"", "=\"-3\"")), None);
        assert_eq!(GPano::from_xmp("GPano:ProjectionType"), None);
    }

    proptest! {
        #[test]
        fn packets_come_back(
            (left, width, right) in (0..9000_usize, 1..9000_usize, 0..9000_usize),
            (top, height, bottom) in (0..9000_usize, 1..9000_usize, 0..9000_usize),
            heading_degrees in 0.0..360.0,
        ) {
            let (full_width, full_height) = (left + width + right, top + height + bottom);
            let pano = GPano { full_width, full_height, left, top, width, height, heading_degrees };
            prop_assert_eq!(GPano::from_xmp(&pano.to_xmp()), Some(pano));
        }

        #[test]
        fn any_text_is_read_without_panic(before: String, after: String) {
            let _: Option<GPano> = GPano::from_xmp(&format!("{before}<GPano:ProjectionType>equirectangular<{after}"));
        }
    }
}
