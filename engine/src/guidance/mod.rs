//! Guidance as linear weights over the rows of a model batch.
//!
//! A guided model output is a weighted sum of the outputs for several conditions, whatever the model predicts (noise, v or the
//! clean image: each is linear in the others at a given state and level, and the weights sum to one). So guidance is data: which
//! rows a batch has, in which order, and what each is multiplied with before the sampler's step sees their sum.
//!
//! | guidance | paper | output | rows, in diffusers' order |
//! |---|---|---|---|
//! | `None` | | c | prompt |
//! | `ClassifierFree` | Ho and Salimans 2022, eq. 6 with scale = 1 + w | u + scale (c - u) | negative prompt, prompt |
//! | `InstructPix2Pix` | Brooks et al. 2023, eq. 3 | n + image (i - n) + text (ti - i) | prompt and image, image, neither |
//! | `Image` | the same without an instruction, where ti = i | n + image (i - n) | image, neither |
//!
//! Scales are those of diffusers and sd.cpp. Programs that write c + s (c - u), such as threestudio, call s what is 1 + s here.
//! Rescaled guidance (Lin et al. 2023, section 3.4) divides by standard deviations, is not linear and not offered.

/// Length of the weights: the rows that the step kernel's parameters provide for, one more than any guidance here has.
pub const MAX_ROWS: usize = 4;

/// What a row of the model batch is conditioned on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Row {
    /// The prompt (and no input image, or a model without one).
    Prompt,
    /// The negative prompt, empty unless given.
    NegativePrompt,
    /// The prompt and the input image.
    PromptAndImage,
    /// The input image with the negative prompt.
    Image,
    /// The negative prompt with an input image of zeros.
    Neither,
}

/// How conditional outputs are exaggerated.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Guidance {
    /// The output for the prompt as it is.
    #[default]
    None,
    /// Away from the negative prompt.
    ClassifierFree {
        /// 1 is no guidance, 7.5 is usual; below 1, also below 0, is allowed.
        scale: f64,
    },
    /// Along the instruction and along the input image.
    InstructPix2Pix {
        /// Scale of the instruction; 7.5 is usual.
        text: f64,
        /// Scale of the input image; 1.5 is usual.
        image: f64,
    },
    /// Along the input image alone.
    Image {
        /// Scale of the input image; 1.5 is usual.
        image: f64,
    },
}

/// A guidance scale that is no number.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{name}: found {found}, expected a finite number")]
pub struct GuidanceError {
    /// Which scale.
    pub name: &'static str,
    /// Its value.
    pub found: f64,
}

impl Guidance {
    /// What the rows of a batch are conditioned on, in the order of [`Guidance::weights`].
    pub const fn rows(&self) -> &'static [Row] {
        match self {
            Self::None => &[Row::Prompt],
            Self::ClassifierFree { .. } => &[Row::NegativePrompt, Row::Prompt],
            Self::InstructPix2Pix { .. } => &[Row::PromptAndImage, Row::Image, Row::Neither],
            Self::Image { .. } => &[Row::Image, Row::Neither],
        }
    }

    /// Factor of each row's output, zero past the last row. They sum to one.
    pub const fn weights(&self) -> [f64; MAX_ROWS] {
        match *self {
            Self::None => [1.0, 0.0, 0.0, 0.0],
            Self::ClassifierFree { scale } => [1.0 - scale, scale, 0.0, 0.0],
            Self::InstructPix2Pix { text, image } => [text, image - text, 1.0 - image, 0.0],
            Self::Image { image } => [image, 1.0 - image, 0.0, 0.0],
        }
    }

    /// The same output from fewer rows where possible: at scale 1 the negative prompt has no weight, and the model need not run
    /// for it.
    pub fn reduced(self) -> Self {
        match self {
            Self::ClassifierFree { scale: 1.0 } => Self::None,
            other => other,
        }
    }

    /// The same guidance, if its scales are finite.
    ///
    /// # Errors
    /// [`GuidanceError`] with the scale that is not.
    pub fn checked(self) -> Result<Self, GuidanceError> {
        let scales = match self {
            Self::None => [("guidance scale", 1.0); 2],
            Self::ClassifierFree { scale } => [("guidance scale", scale); 2],
            Self::InstructPix2Pix { text, image } => [("guidance scale", text), ("image guidance scale", image)],
            Self::Image { image } => [("image guidance scale", image); 2],
        };
        match scales.into_iter().find(|(_, scale)| !scale.is_finite()) {
            Some((name, found)) => Err(GuidanceError { name, found }),
            None => Ok(self),
        }
    }

    /// One element of the guided output from that element of each row, in the order of [`Guidance::rows`].
    pub fn combine(&self, outputs: &[f64]) -> f64 {
        self.weights().iter().zip(outputs).map(|(weight, out)| weight * out).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Guidance; 5] = [
        Guidance::None,
        Guidance::ClassifierFree { scale: 7.5 },
        Guidance::ClassifierFree { scale: -6.5 },
        Guidance::InstructPix2Pix { text: 7.5, image: 1.5 },
        Guidance::Image { image: 1.5 },
    ];

    #[test]
    fn combinations_are_the_papers() {
        let (negative, prompt) = (0.3, -1.1);
        let cfg = Guidance::ClassifierFree { scale: 7.5 };
        let expected = negative + 7.5 * (prompt - negative);
        assert!((cfg.combine(&[negative, prompt]) - expected).abs() < 1e-12);

        let (both, image, neither) = (0.9, -0.2, 0.4);
        let edit = Guidance::InstructPix2Pix { text: 7.5, image: 1.5 };
        let expected = neither + 7.5 * (both - image) + 1.5 * (image - neither);
        assert!((edit.combine(&[both, image, neither]) - expected).abs() < 1e-12);
        assert_eq!(Guidance::None.combine(&[prompt]), prompt);
        // Scales of one leave the estimate with both, an instruction of scale 0 that of the image.
        let [ones, image_only] = [1.0, 0.0].map(|text| Guidance::InstructPix2Pix { text, image: 1.0 });
        assert_eq!((ones.combine(&[both, image, neither]), image_only.combine(&[both, image, neither])), (both, image));
        let same = edit.combine(&[image, image, neither]);
        assert!((Guidance::Image { image: 1.5 }.combine(&[image, neither]) - same).abs() < 1e-12);
    }

    #[test]
    fn weights_sum_to_one_and_end_with_the_rows() {
        for guidance in ALL {
            let weights = guidance.weights();
            assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{guidance:?}");
            assert!(weights[guidance.rows().len()..].iter().all(|w| *w == 0.0), "{guidance:?}");
            let same = [0.37; MAX_ROWS];
            assert!((guidance.combine(&same) - 0.37).abs() < 1e-12, "{guidance:?}");
        }
    }

    /// Guiding the noise and guiding v is the same thing: v = a eps - b clean with clean = (x - b eps) / a.
    #[test]
    fn guiding_noise_or_v_is_the_same() {
        let (a, b, x) = (0.6f64, 0.8f64, 0.25);
        let v = |eps: f64| a * eps - b * (x - b * eps) / a;
        for guidance in ALL {
            let eps = [0.4, -0.7, 1.3];
            let guided = guidance.combine(&eps);
            assert!((guidance.combine(&eps.map(v)) - v(guided)).abs() < 1e-9, "{guidance:?}");
        }
    }

    #[test]
    fn scale_one_needs_no_second_row() {
        assert_eq!(Guidance::ClassifierFree { scale: 1.0 }.reduced(), Guidance::None);
        for guidance in ALL {
            assert_eq!(guidance.reduced(), guidance);
            assert_eq!(guidance.checked(), Ok(guidance));
        }
        let bad = Guidance::InstructPix2Pix { text: 7.5, image: f64::NAN };
        let text = bad.checked().unwrap_err().to_string();
        assert_eq!(text, "image guidance scale: found NaN, expected a finite number");
    }
}
