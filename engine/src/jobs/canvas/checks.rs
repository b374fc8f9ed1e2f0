//! What is refused before anything is allocated.

use syncline_kernels::ops::couple::MAX_BRANCHES;

use super::CanvasOptions;
use super::model::CanvasModel;
use crate::error::{Error, Result};
use crate::methods::{CanvasReg, Medium, Mix, Op, Plan, Reg, ViewReg};

/// Refuses what cannot run.
pub(super) fn check_options<M: CanvasModel>(model: &M, options: &CanvasOptions) -> Result<()> {
    let refuse = |what, found: String, expected: String| Err(Error::Input { what, found, expected });
    let [height, width] = options.space.canvas_size();
    let texels = height * width;
    let plan = &options.plan;
    if plan.medium == Medium::Rgb && model.autoencoder().is_none() {
        return refuse("canvas", "RGB".into(), "latents: this model has no autoencoder".into());
    }
    if let Some(start) = &options.start
        && (start.len() != 3 * texels || plan.medium != Medium::Rgb)
    {
        let expected = format!("{} values, {width}x{height} RGB, for a method with an RGB canvas", 3 * texels);
        return refuse("canvas to start from", format!("{} values", start.len()), expected);
    }
    let keeps = plan.ops.iter().any(|op| matches!(op, Op::Keep));
    match &options.keep {
        Some(keep) if keep.rgb.len() != 3 * texels || keep.mask.len() != texels => {
            let found = format!("{} and {} values", keep.rgb.len(), keep.mask.len());
            return refuse("picture and mask to keep", found, format!("{width}x{height} texels, as the canvas"));
        }
        Some(_) if !keeps => {
            return refuse("mask", "given".into(), "a method that inpaints".into());
        }
        None if keeps => return refuse("mask", "none".into(), "one: the method inpaints".into()),
        _ => {}
    }
    check_regions(options, [height, width])?;
    check_latents(options)?;
    check_edit(model, options)?;
    check_condition(model, plan)?;
    check_branches(model, options)
}

/// Latents belong to latent canvases, and to plans that read them.
fn check_latents(options: &CanvasOptions) -> Result<()> {
    let plan = &options.plan;
    let latent = plan.medium == Medium::Latent;
    let refuse = |what, expected: &str| Err(Error::Input { what, found: "given".into(), expected: expected.into() });
    if options.start_latents.is_some() && !latent {
        return refuse("latents to start from", "a method with a latent canvas");
    }
    if options.source_latents.is_some() && !(latent && plan.uses(CanvasReg::Source.into())) {
        return refuse("source latents", "a method with a latent canvas that reads a source");
    }
    if options.source_latents.is_none() && latent && plan.uses(CanvasReg::Source.into()) {
        let expected = "some: the method reads a source".into();
        return Err(Error::Input { what: "source latents", found: "none".into(), expected });
    }
    Ok(())
}

/// An edit has two branches, and a mask that covers its canvas.
fn check_edit<M: CanvasModel>(model: &M, options: &CanvasOptions) -> Result<()> {
    let refuse = |what, found: String, expected: String| Err(Error::Input { what, found, expected });
    let (plan, space) = (&options.plan, options.space.as_ref());
    let edits = plan.ops.iter().any(|op| matches!(op, Op::EditStep(_)));
    if edits && plan.branches != 2 {
        return refuse("branches of an edit", plan.branches.to_string(), "2: source and target".into());
    }
    let Some(mask) = &options.edit_mask else { return Ok(()) };
    if !edits {
        return refuse("edit mask", "given".into(), "a method that couples source and target".into());
    }
    let [h, w, _] = model.latent_dims();
    let ([height, width], [view_height, view_width]) = (space.canvas_size(), space.view_size());
    let [height, width] = options.latent_canvas.unwrap_or([height * h / view_height, width * w / view_width]);
    if mask.len() != height * width {
        let expected = format!("{}, {width}x{height} cells as the canvas", height * width);
        return refuse("edit mask", format!("{} values", mask.len()), expected);
    }
    if let Some(value) = mask.iter().find(|value| !(0.0..=1.0).contains(*value)) {
        return refuse("edit mask", format!("the value {value}"), "values from 0 (kept) to 1 (free)".into());
    }
    Ok(())
}

/// Branches and denoisers that the plan names exist.
fn check_branches<M: CanvasModel>(model: &M, options: &CanvasOptions) -> Result<()> {
    let refuse = |what, found: String, expected: String| Err(Error::Input { what, found, expected });
    let (plan, views) = (&options.plan, options.space.view_count());
    if plan.branches == 0 || !views.is_multiple_of(plan.branches) {
        return refuse("branches", plan.branches.to_string(), format!("a divisor of the space's {views} views"));
    }
    let named = plan.registers().filter_map(Reg::branch).max();
    if let Some(branch) = named.filter(|branch| *branch >= plan.branches) {
        return refuse("branch", branch.to_string(), format!("below {}", plan.branches));
    }
    // To the GPU they are one buffer, which a dispatch cannot read and write.
    let register = |reg: Reg| if let Reg::View(reg) | Reg::Branch(reg, _) = reg { Reg::View(reg) } else { reg };
    let same = |mix: &Mix| mix.terms.iter().flatten().any(|(term, _)| register(*term) == register(mix.target));
    if let Some(Op::Mix(mix)) = plan.ops.iter().find(|op| matches!(op, Op::Mix(mix) if same(mix))) {
        let found = format!("{:?} of terms {:?}", mix.target, mix.terms.map(|term| term.map(|(reg, _)| reg)));
        return refuse("sum", found, "terms in other registers than the target, by way of another one".into());
    }
    let couples = plan.ops.iter().any(|op| matches!(op, Op::Couple { .. }));
    if couples && !(2..=MAX_BRANCHES).contains(&plan.branches) {
        return refuse("coupled branches", plan.branches.to_string(), format!("2 to {MAX_BRANCHES}"));
    }
    let denoisers = model.denoisers().len();
    let asked = plan.ops.iter().filter_map(|op| if let Op::Evaluate(e) = op { Some(e.model) } else { None }).max();
    if let Some(asked) = asked.filter(|asked| *asked >= denoisers) {
        return refuse("denoiser", asked.to_string(), format!("below {denoisers}, the canvas model's"));
    }
    Ok(())
}

/// A model that sees image latents is given some.
fn check_condition<M: CanvasModel>(model: &M, plan: &Plan) -> Result<()> {
    let named =
        plan.registers().any(|reg| matches!(reg, Reg::View(ViewReg::Condition) | Reg::Branch(ViewReg::Condition, _)));
    let sees = model.denoisers().iter().any(|denoiser| denoiser.conditioned_rows() > 0);
    let told = |yes| if yes { "image latents" } else { "none" }.to_owned();
    if named == sees {
        return Ok(());
    }
    Err(Error::Input {
        what: "image latents of the method",
        found: told(named),
        expected: told(sees) + ", as the model takes",
    })
}

/// Regions share every texel out completely.
fn check_regions(options: &CanvasOptions, [height, width]: [usize; 2]) -> Result<()> {
    let Some(regions) = &options.regions else { return Ok(()) };
    let (texels, values) = (height * width, regions.weights.len());
    let refuse = |found: String, expected: String| Err(Error::Input { what: "regions", found, expected });
    if regions.count == 0 || values != regions.count * texels {
        return refuse(format!("{values} weights"), format!("{} regions of {width}x{height}", regions.count));
    }
    let sums = (0..texels).map(|i| regions.weights[i..].iter().step_by(texels).map(|w| f64::from(*w)).sum::<f64>());
    let (mut holes, mut overlaps) = (0usize, 0usize);
    for sum in sums {
        holes += usize::from(sum < 0.999);
        overlaps += usize::from(sum > 1.001);
    }
    if holes + overlaps > 0 {
        let share = |n: usize| 100.0 * n as f64 / texels as f64;
        let found = format!(
            "{holes} texels ({:.1} %) in no region and {overlaps} ({:.1} %) in more than one",
            share(holes),
            share(overlaps)
        );
        return refuse(found, "regions that share the whole canvas without overlap".into());
    }
    Ok(())
}
