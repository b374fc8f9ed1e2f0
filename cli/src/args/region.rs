//! `--region AZ0..AZ1[,EL0..EL1]=PROMPT`.

use std::fmt;

/// A part of the sphere with a prompt of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct RegionArg {
    /// Azimuths in degrees: from the first rightwards to the second, which is larger by at most 360.
    pub azimuth: [f64; 2],
    /// Elevations in degrees, the lower first.
    pub elevation: [f64; 2],
    /// What to show there; @FILE reads a file.
    pub prompt: String,
}

impl fmt::Display for RegionArg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([a, b], [low, high]) = (self.azimuth, self.elevation);
        write!(f, "{a}..{b},{low}..{high}")
    }
}

/// The value of one flag.
pub fn region(text: &str) -> Result<RegionArg, String> {
    const FORM: &str = "expected AZ0..AZ1[,EL0..EL1]=PROMPT in degrees, for example \"-45..45=a city skyline\"";
    let (place, prompt) = text.split_once('=').ok_or(FORM)?;
    let (azimuth, elevation) = match place.split_once(',') {
        Some((azimuth, elevation)) => (range(azimuth).ok_or(FORM)?, range(elevation).ok_or(FORM)?),
        None => (range(place).ok_or(FORM)?, [-90.0, 90.0]),
    };
    let [from, mut to] = azimuth;
    if from.abs() > 360.0 || to.abs() > 360.0 {
        return Err(format!("azimuths {from} to {to}: expected -360 to 360 degrees"));
    }
    if to <= from {
        to += 360.0;
    }
    if !(to > from && to - from <= 360.0) {
        return Err(format!("azimuths {} to {}: expected at most one turn to the right", azimuth[0], azimuth[1]));
    }
    let [low, high] = elevation;
    if !(-90.0 <= low && low < high && high <= 90.0) {
        return Err(format!("elevations {low} to {high}: expected -90 to 90 degrees, the lower first"));
    }
    Ok(RegionArg { azimuth: [from, to], elevation, prompt: prompt.to_owned() })
}

fn range(text: &str) -> Option<[f64; 2]> {
    let (from, to) = text.trim().split_once("..")?;
    let number = |text: &str| text.trim().parse::<f64>().ok().filter(|v| v.is_finite());
    Some([number(from)?, number(to)?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sectors_go_to_the_right_and_around() {
        let read = |text| region(text).map(|r| (r.azimuth, r.elevation, r.prompt));
        let all = [-90.0, 90.0];
        assert_eq!(read("-45..45=a, b = c"), Ok(([-45.0, 45.0], all, "a, b = c".into())));
        assert_eq!(read("135..-135=sea"), Ok(([135.0, 225.0], all, "sea".into())));
        assert_eq!(read("0..360, -90..0 = ground"), Ok(([0.0, 360.0], [-90.0, 0.0], " ground".into())));
        for bad in ["a city", "1=city", "0..x=city", "0..400=city", "-300..300=city", "0..90,10..5=city", "0..9,0..91="]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
