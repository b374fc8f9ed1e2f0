//! Pictures that steer a run: ControlNets and depth maps. They are read before the model is loaded.

use std::path::PathBuf;

use syncline::jobs::{Beside, ControlPicture, InitImage};
use syncline::pipeline::{ControlNet, StableDiffusion};
use syncline::reproject::{Edges, Raster, resize};
use syncline_loader::config::ControlNetConfig;
use syncline_loader::{Weights, hub, open_controlnet};

use super::inpaint::read_srgb;
use crate::args::{ControlArgs, DepthArgs};
use crate::exit::Failure;

/// What a ControlNet adds unless told otherwise, as in stable-diffusion.cpp.
const STRENGTH: f64 = 0.9;

/// ControlNets that are to be loaded, with their pictures.
#[derive(Default)]
pub struct Controls(Vec<Control>);

struct Control {
    path: PathBuf,
    model: (ControlNetConfig, Weights),
    picture: Raster,
    weight: f64,
    start: f64,
    end: f64,
}

/// Value `i` of a list that has one for all or one for each.
fn value(flag: &str, values: &[f64], (i, count): (usize, usize), default: f64) -> Result<f64, Failure> {
    match values {
        [] => Ok(default),
        [one] => Ok(*one),
        many if many.len() == count => Ok(many[i]),
        many => Err(Failure::usage(format!(
            "{flag}: found {} of them, expected one, or {count} as --control-net",
            many.len()
        ))),
    }
}

/// RGB in 0..=1: light may be brighter than a display's white.
fn clamped(mut raster: Raster) -> Raster {
    raster.rgb.iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
    raster
}

impl Controls {
    /// Opens the files.
    pub fn read(args: &ControlArgs) -> anyhow::Result<Self> {
        let count = args.control_net.len();
        if args.control_image.len() != count {
            let found = format!("{} --control-image for {count} --control-net", args.control_image.len());
            return Err(Failure::usage(format!("ControlNets: found {found}, expected a picture for each")).into());
        }
        if count == 0
            && !(args.control_strength.is_empty() && args.control_start.is_empty() && args.control_end.is_empty())
        {
            return Err(
                Failure::usage("--control-strength, --control-start and --control-end need --control-net").into()
            );
        }
        let mut controls = Vec::new();
        for (i, (path, picture)) in args.control_net.iter().zip(&args.control_image).enumerate() {
            let at = (i, count);
            controls.push(Control {
                path: path.clone(),
                model: open_controlnet(&hub::resolve(path)?)?,
                picture: clamped(read_srgb(picture)?),
                weight: value("--control-strength", &args.control_strength, at, STRENGTH)?,
                start: value("--control-start", &args.control_start, at, 0.0)?,
                end: value("--control-end", &args.control_end, at, 1.0)?,
            });
        }
        Ok(Self(controls))
    }

    /// Loads those that have a weight, for pictures of `[height, width]`.
    pub fn load(&self, model: &StableDiffusion, size: [usize; 2]) -> anyhow::Result<Vec<ControlPicture>> {
        let mut loaded = Vec::new();
        for control in &self.0 {
            let (config, weights) = &control.model;
            let net = ControlNet::load(&model.ctx, config, weights, model.elem(), control.weight)?;
            let rgb = resize(&control.picture, size, Edges::Clamp).rgb;
            let picture = InitImage { size, rgb };
            let (start, end) = (control.start, control.end);
            loaded.extend(net.map(|net| ControlPicture { net, picture, start, end }));
        }
        Ok(loaded)
    }

    /// What the picture's metadata say of them.
    pub fn told(&self) -> Vec<(String, String)> {
        let told = |(i, c): (usize, &Control)| {
            let text = format!(
                "Model: {}, Weight: {}, Guidance Start: {}, Guidance End: {}",
                c.path.display(),
                c.weight,
                c.start,
                c.end
            );
            (format!("ControlNet {i}"), text)
        };
        self.0.iter().enumerate().map(told).collect()
    }
}

/// A depth map in the size of the result.
#[derive(Default)]
pub struct DepthMap(Option<Raster>);

impl DepthMap {
    /// Opens the file.
    pub fn read(args: &DepthArgs) -> anyhow::Result<Self> {
        Ok(Self(args.depth.as_deref().map(read_srgb).transpose()?))
    }

    /// What a depth model is shown.
    pub fn beside(&self, size: [usize; 2]) -> Option<Beside> {
        let raster = resize(self.0.as_ref()?, size, Edges::Clamp);
        Some(Beside::Depth { size, values: raster.rgb.chunks_exact(3).map(|p| p.iter().sum::<f32>() / 3.0).collect() })
    }
}
