//! A canvas and its views on the GPU, for the laws of spaces.
#![expect(clippy::unwrap_used, reason = "a test that cannot run has failed")]

use std::f64::consts::TAU;

use syncline::spaces::panorama::{Panorama, PanoramaOptions, ViewSet};
use syncline::spaces::sphere::{Sphere, SphereOptions};
use syncline::spaces::torus::{Torus, TorusOptions};
use syncline::spaces::windows::{WindowSets, Windows, WindowsOptions};
use syncline::spaces::{self, Frames, Fuse, FuseScalars, Interpolation, Project, Scatter, Space, View, Weight};
use syncline_kernels::check::Draw;
use syncline_kernels::gpu::{Context, ContextOptions, Recorder};
use syncline_kernels::ops::{finite, scatter_views};
use syncline_kernels::tensor::Elem;

/// A context that checks everything.
///
/// # Panics
/// When no adapter can be opened.
#[must_use]
pub fn context() -> Context {
    Context::new(&ContextOptions::strict()).unwrap()
}

/// A canvas in memory, `[H, W, C]`, and the views of one step.
#[derive(Debug)]
pub struct Stage<'a> {
    ctx: &'a Context,
    space: &'a dyn Space,
    interpolation: Interpolation,
    channels: usize,
    /// The views of the step.
    pub views: Vec<View>,
}

impl<'a> Stage<'a> {
    /// The views of outer step `step`; canvas and views have one channel.
    #[must_use]
    pub fn new(ctx: &'a Context, space: &'a dyn Space, interpolation: Interpolation, step: usize) -> Self {
        Self { ctx, space, interpolation, channels: 1, views: space.views(step) }
    }

    fn words(&self) -> Vec<f32> {
        self.views.iter().flat_map(View::words).collect()
    }

    /// The views of a canvas.
    ///
    /// # Panics
    /// When the device fails.
    #[must_use]
    pub fn project(&self, canvas: &[f32]) -> Vec<f32> {
        let (ctx, [h, w], count) = (self.ctx, self.space.canvas_size(), self.views.len());
        let canvas = ctx.upload(canvas, &[h, w, self.channels], Elem::F32).unwrap();
        let words = ctx.upload(&self.words(), &[count, 20], Elem::F32).unwrap();
        let views = ctx.upload_u32(&vec![0; count], &[count]).unwrap();
        let mut rec = Recorder::new(ctx);
        let project = Project {
            geometry: self.space.geometry(),
            interpolation: self.interpolation,
            size: self.space.view_size(),
            canvas: &canvas,
            words: &words,
            views: &views,
            map: [1.0, 0.0],
            elem: Elem::F32,
        };
        let out = spaces::project(&mut rec, &project);
        assert_eq!(rec.len(), 1, "one dispatch");
        let out = rec.keep(&out).unwrap();
        rec.finish().unwrap().run().unwrap();
        ctx.verify_guards().unwrap();
        ctx.read(&out).unwrap()
    }

    /// Canvas and coverage.
    ///
    /// # Panics
    /// When the device fails.
    #[must_use]
    pub fn fuse(&self, views: &[f32], old: &[f32], weight: Weight, regions: Option<&[f32]>) -> (Vec<f32>, Vec<f32>) {
        let (ctx, [h, w], count) = (self.ctx, self.space.canvas_size(), self.views.len());
        let [vh, vw] = self.space.view_size();
        let canvas = ctx.upload(old, &[h, w, self.channels], Elem::F32).unwrap();
        let coverage = ctx.tensor(&[h, w], Elem::F32).unwrap();
        let views = ctx.upload(views, &[count, vh, vw, self.channels], Elem::F32).unwrap();
        let words = ctx.upload(&self.words(), &[count, 20], Elem::F32).unwrap();
        let regions = regions.map(|r| ctx.upload(r, &[r.len() / (h * w), h, w], Elem::F32).unwrap());
        let mut rec = Recorder::new(ctx);
        let fuse = Fuse {
            geometry: self.space.geometry(),
            interpolation: self.interpolation,
            canvas: &canvas,
            coverage: &coverage,
            views: &views,
            words: &words,
            regions: regions.as_ref(),
            weight,
            scalars: FuseScalars::default(),
        };
        spaces::fuse(&mut rec, &fuse);
        assert_eq!(rec.len(), 1, "one dispatch");
        rec.finish().unwrap().run().unwrap();
        ctx.verify_guards().unwrap();
        (ctx.read(&canvas).unwrap(), ctx.read(&coverage).unwrap())
    }

    /// What scattering views into an empty canvas gives.
    ///
    /// # Panics
    /// When the device fails or a value was left out.
    #[must_use]
    pub fn scatter(&self, views: &[f32]) -> Vec<f64> {
        let (ctx, [h, w], count) = (self.ctx, self.space.canvas_size(), self.views.len());
        let [vh, vw] = self.space.view_size();
        let views = ctx.upload(views, &[count, vh, vw, self.channels], Elem::F32).unwrap();
        let words = ctx.upload(&self.words(), &[count, 20], Elem::F32).unwrap();
        let sums = scatter_views::new_sums(ctx, &[h, w, self.channels]).unwrap();
        let report = finite::new_report(ctx).unwrap();
        let mut rec = Recorder::new(ctx);
        let scatter = Scatter {
            geometry: self.space.geometry(),
            interpolation: self.interpolation,
            views: &views,
            words: &words,
            sums: &sums,
            hits: None,
            report: &report,
            gain: 1.0,
        };
        spaces::scatter(&mut rec, &scatter);
        rec.finish().unwrap().run().unwrap();
        ctx.verify_guards().unwrap();
        assert_eq!(finite::take_report(ctx, &report).unwrap().count, 0);
        ctx.read_u32(&sums).unwrap().into_iter().map(|v| f64::from(v as i32) / scatter_views::UNIT).collect()
    }

    /// The canvas after it went through the views once, and the coverage.
    #[must_use]
    pub fn round(&self, canvas: &[f32]) -> (Vec<f32>, Vec<f32>) {
        self.fuse(&self.project(canvas), canvas, Weight::Count, None)
    }
}

/// Windows of 32 pixels on 160 x 96.
///
/// # Panics
/// When an option is refused.
#[must_use]
pub fn windows(sets: WindowSets, stride: usize, wrap: bool) -> Box<dyn Space> {
    let options = WindowsOptions {
        canvas: [96, 160],
        window: [32, 32],
        stride: [stride; 2],
        wrap: [wrap; 2],
        sets,
        ..WindowsOptions::default()
    };
    Box::new(Windows::new(&options).unwrap())
}

/// A panorama whose views use 72 degrees.
///
/// # Panics
/// When an option is refused.
#[must_use]
pub fn panorama(views: ViewSet, height: usize, side: usize, fov: f64) -> Box<dyn Space> {
    let interpolation = Interpolation::Bilinear;
    let options = PanoramaOptions { height, view_side: side, fov, used_fov: 72.0, views, interpolation };
    Box::new(Panorama::new(&options).unwrap())
}

/// A sphere whose faces turn.
///
/// # Panics
/// When an option is refused.
#[must_use]
pub fn sphere(height: usize, side: usize, fov: f64) -> Box<dyn Space> {
    let options = SphereOptions { height, side, fov, seed: Some(5), ..SphereOptions::default() };
    Box::new(Sphere::new(&options).unwrap())
}

/// A torus of radii 3 : 1.
///
/// # Panics
/// When an option is refused.
#[must_use]
pub fn torus(canvas: [usize; 2], side: usize) -> Box<dyn Space> {
    Box::new(Torus::new(&TorusOptions { canvas, side, ..TorusOptions::default() }).unwrap())
}

/// Small spaces of every kind.
///
/// # Panics
/// When an option is refused.
#[must_use]
pub fn all() -> Vec<(&'static str, Box<dyn Space>)> {
    vec![
        ("windows", windows(WindowSets::Same, 24, false)),
        ("wrapping windows", windows(WindowSets::Random { seed: 3 }, 16, true)),
        ("rings", panorama(ViewSet::PAPER, 128, 48, 80.0)),
        ("full panorama", panorama(ViewSet::Full, 128, 48, 80.0)),
        ("sphere", sphere(128, 48, 96.0)),
        ("torus", torus([128, 384], 48)),
        ("frames", Box::new(Frames::new(3, [40, 48]).unwrap())),
    ]
}

/// Values over a canvas from the angles (or fractions of turns) of a texel's centre.
#[must_use]
pub fn canvas_of(space: &dyn Space, value: impl Fn(f64, f64) -> f64) -> Vec<f32> {
    let [h, w] = space.canvas_size();
    let turn = |i: usize, n: usize| (i as f64 + 0.5) / n as f64 - 0.5;
    (0..h * w).map(|i| value(TAU * turn(i % w, w), TAU * turn(i / w, h)) as f32).collect()
}

/// Standard normals.
#[must_use]
pub fn normals(draw: &mut Draw, count: usize) -> Vec<f32> {
    (0..count).map(|_| draw.normal() as f32).collect()
}
