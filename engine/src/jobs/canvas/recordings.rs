//! Recordings of the small operations between evaluations, made when first needed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use syncline_kernels::gpu::{Context, DispatchId, Recorder, Recording};
use syncline_kernels::ops::mix::{self, MixScalars, mix};
use syncline_kernels::ops::noise::NoiseKey;
use syncline_kernels::tensor::{Elem, Tensor};

use super::registers::{Registers, rows_of};
use crate::error::Result;
use crate::methods::{CanvasReg, Fusion, Mix, Reg};
use crate::spaces::{self, Fuse, FuseScalars, Interpolation, Project, Space, Weight};

/// Views of the last sets are weighed by cos^k of the angle to their axes: each shows its own middle almost alone (half
/// way between two axes 36° apart they share alike, 3° off that 15 : 1) and has faded out at its border. A linear ramp from
/// border to middle mixes two pictures everywhere, which costs sharpness.
const FADE_EXPONENT: f32 = 80.0;

/// The same for views that do not lie on one level ring, where directions are up to 36° (two sets of the full sphere) or 55°
/// (corners of six faces) away from all axes. No weight is below 1e-4: with the exponent above all views that see such a
/// direction would count alike, and end there with a line. cos^20 reaches that floor at 51°.
const WIDE_FADE_EXPONENT: f32 = 20.0;

fn fade_exponent(space: &dyn Space) -> f32 {
    if is_level(space) { FADE_EXPONENT } else { WIDE_FADE_EXPONENT }
}

/// Whether all views look at the horizon.
pub(super) fn is_level(space: &dyn Space) -> bool {
    let mut views = (0..space.set_count()).flat_map(|set| space.views(set));
    views.all(|view| view.direction.is_none_or(|[_, elevation]| elevation.abs() < 1.0))
}

/// What a recording does; its numbers are set before each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Mix {
        target: Reg,
        terms: [Option<Reg>; 2],
        /// Noise, and whether branches share it.
        noise: Option<bool>,
    },
    Project {
        from: CanvasReg,
        to: Reg,
        nearest: bool,
    },
    /// Latent views into a latent canvas.
    Fuse {
        from: Reg,
        to: CanvasReg,
    },
    /// Decoded views of a set into the picture, of one branch or all; `None`: of all sets.
    Picture {
        set: Option<usize>,
        branch: Option<usize>,
        overlap: bool,
    },
}

/// Recordings by what they do.
#[derive(Debug, Default)]
pub(super) struct Recordings {
    made: BTreeMap<Key, (Recording, Option<DispatchId>)>,
}

impl Recordings {
    /// The recording, made now if it was not.
    pub(super) fn get(&mut self, key: Key, space: &dyn Space, registers: &mut Registers, ctx: &Context) -> Result<()> {
        if let Entry::Vacant(entry) = self.made.entry(key) {
            entry.insert(record(key, space, registers, ctx)?);
        }
        Ok(())
    }

    /// A recording that was made before.
    pub(super) fn recording(&mut self, key: Key) -> Option<&mut Recording> {
        self.made.get_mut(&key).map(|(recording, _)| recording)
    }

    /// Numbers of the next run of a sum.
    pub(super) fn set_mix(&mut self, op: &Mix, dims: &[usize], key: NoiseKey) {
        let Some((recording, Some(id))) = self.made.get_mut(&mix_key(op)) else { return };
        let factor = |i: usize| op.terms[i].map_or(0.0, |(_, factor)| factor as f32);
        let scalars = MixScalars { own: op.own as f32, a: factor(0), b: factor(1), sigma: op.sigma as f32, key };
        recording.set_params(*id, &mix::params(dims, &scalars));
    }
}

/// The key of a sum.
pub(super) fn mix_key(op: &Mix) -> Key {
    let noise = (op.sigma != 0.0).then_some(op.draw.shared);
    Key::Mix { target: op.target, terms: op.terms.map(|term| term.map(|(reg, _)| reg)), noise }
}

/// The key of a fusion into the picture.
pub(super) fn picture_key(fusion: Fusion, set: usize, branch: Option<usize>) -> Key {
    match fusion {
        Fusion::Fade => Key::Picture { set: None, branch, overlap: false },
        Fusion::Overlap => Key::Picture { set: Some(set), branch, overlap: true },
        Fusion::Average => Key::Picture { set: Some(set), branch, overlap: false },
    }
}

fn record(
    key: Key,
    space: &dyn Space,
    registers: &mut Registers,
    ctx: &Context,
) -> Result<(Recording, Option<DispatchId>)> {
    let mut rec = Recorder::new(ctx);
    let id = match key {
        Key::Mix { target, terms, noise } => Some(record_mix(&mut rec, registers, target, terms, noise)?),
        Key::Project { from, to, nearest } => {
            rec.set_layer("project");
            let scope = registers.scope(to.branch()).clone();
            let (canvas, to) = (registers.get(from)?, registers.get(to)?);
            let own = registers.latent_interpolation;
            let interpolation = if nearest { Interpolation::Nearest } else { own };
            let views = spaces::project(
                &mut rec,
                &Project {
                    geometry: space.geometry(),
                    interpolation,
                    size: [to.dims()[1], to.dims()[2]],
                    canvas: &canvas,
                    words: &scope.used,
                    views: &scope.ids,
                    map: [1.0, 0.0],
                    elem: Elem::F32,
                },
            );
            rec.place(&views, &to);
            None
        }
        Key::Fuse { from, to } => {
            rec.set_layer("fuse");
            let scope = registers.scope(from.branch()).clone();
            let (views, canvas) = (registers.get(from)?, registers.get(to)?);
            let Some(coverage) = registers.latent_coverage.clone() else { unreachable!("a latent canvas has one") };
            let fuse = Fuse {
                geometry: space.geometry(),
                interpolation: registers.latent_interpolation,
                canvas: &canvas,
                coverage: &coverage,
                views: &views,
                words: &scope.used,
                regions: registers.regions[1].as_ref(),
                weight: Weight::Count,
                scalars: FuseScalars::default(),
            };
            spaces::fuse(&mut rec, &fuse);
            None
        }
        Key::Picture { set, branch, overlap } => {
            record_picture(&mut rec, space, registers, (set, branch, overlap))?;
            None
        }
    };
    Ok((rec.finish()?, id))
}

fn record_mix(
    rec: &mut Recorder,
    registers: &mut Registers,
    target: Reg,
    terms: [Option<Reg>; 2],
    noise: Option<bool>,
) -> Result<DispatchId> {
    rec.set_layer("mix");
    let target_tensor = registers.images(target)?;
    let terms = terms.into_iter().flatten().map(|term| registers.images(term)).collect::<Result<Vec<_>>>()?;
    let terms: Vec<&Tensor> = terms.iter().collect();
    let views = |shared| registers.scope(target.branch()).noise_ids(shared);
    let canvas = matches!(target, Reg::Canvas(_));
    let noise = noise.map(|shared| if canvas { &registers.canvas_id } else { views(shared) });
    Ok(mix(rec, &mix::Mix { target: &target_tensor, terms: &terms, noise, scalars: MixScalars::default() }))
}

/// Decoded views into the picture: of one set and branch, or of all.
fn record_picture(
    rec: &mut Recorder,
    space: &dyn Space,
    registers: &mut Registers,
    (set, branch, overlap): (Option<usize>, Option<usize>, bool),
) -> Result<()> {
    rec.set_layer("fuse");
    let (Some(kept), Some(picture)) = (registers.kept.clone(), registers.picture.clone()) else {
        unreachable!("decoded views are kept")
    };
    let count = space.view_count();
    // What a view shows beyond its used field is a ramp into its neighbours.
    let ramp = space.views(0).first().map_or(0.0, crate::spaces::View::unused_share);
    let overlaps = overlap && ramp > 1e-3;
    let (rows, scope) = (registers.rows(branch), registers.scope(branch));
    let of = |set: usize| rows_of(&kept, &(set * count + rows.start..set * count + rows.end));
    let (views, words, weight) = match set {
        None => (kept.clone(), registers.kept_words.clone(), Weight::Cosine),
        Some(set) if overlaps => (of(set)?, scope.whole.clone(), Weight::Feather),
        Some(set) => (of(set)?, scope.used.clone(), Weight::Count),
    };
    // Decoded values are -1..1; the clamp keeps repeated passes through the autoencoder from running away (official code).
    let scalars = FuseScalars {
        gain: 0.5,
        offset: 0.5,
        clamp: Some([0.01, 0.99]),
        feather: if overlaps { (2.0 * ramp).min(1.0) as f32 } else { 1.0 },
        exponent: fade_exponent(space),
        ..FuseScalars::default()
    };
    let fuse = Fuse {
        geometry: space.geometry(),
        interpolation: space.interpolation(),
        canvas: &picture.bands[0],
        coverage: &registers.coverage,
        views: &views,
        words: &words,
        regions: registers.regions[0].as_ref(),
        weight,
        scalars,
    };
    picture.fuse(rec, &fuse)
}
